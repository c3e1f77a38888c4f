"""The command `detect`: what a trained detector finds in photos, as a table, as pictures, as JSON."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...hub.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image

    from .detector import Detections


def detect(
    run: Path,
    photos: list[Path],
    *,
    out: Path | None = None,
    min_score: float = 0.5,
    json: bool = False,
    overwrite: bool = False,
) -> None:
    """Find objects in photos with the detector that `goodviews transfer` trained.

    Args:
        run: The folder of a finished detection run.
        photos: Photos of any size.
        out: Draw boxes and masks into this .png or .jpg; for several photos, the folder to make.
        min_score: Say and draw what has at least this score, 0 to 1.
        json: Print JSON instead of a table: boxes as xmin, ymin, xmax, ymax in pixels, masks as COCO run lengths.
        overwrite: Replace OUT if it exists.
    """
    from rich.console import Console

    from ...hub.images import read_image
    from .load_detector import load_detector
    from .photo_marks import draw_found

    _check(photos, out, min_score, overwrite)
    detector = load_detector(run)
    images = [read_image(path) for path in photos]
    found = [_at_least(min_score, detector.detect(image, str(path))) for image, path in zip(images, photos)]
    if out is not None:
        drawn = (draw_found(image, one, detector.classes) for image, one in zip(images, found))
        _write(dict(zip(photos, drawn)), out, overwrite)
    if json:
        print(json_text.dumps([_as_json(one) for one in found], indent=2, ensure_ascii=False))
        return
    console = Console()
    _print_table(console, found, min_score)
    if out is not None:
        console.print(
            f"{'Picture' if len(photos) == 1 else 'Pictures'}: {out}", highlight=False, markup=False, soft_wrap=True
        )


def _check(photos: list[Path], out: Path | None, min_score: float, overwrite: bool) -> None:
    """Whatever can be refused before anything is loaded."""
    from ...hub.atomic import refuse_existing
    from ...hub.pictures import check_picture_name, is_picture_name

    if not 0 <= min_score <= 1:
        raise UsageError(f"--min-score is {min_score}; it must be 0 to 1.")
    if out is None:
        return
    if len(photos) == 1:
        check_picture_name(out, overwrite)
    else:
        refuse_existing(out, overwrite)
    names = {path.stem for path in photos}
    if len(photos) > 1 and is_picture_name(out):
        raise UsageError(f"{out} can hold the picture of one photo, and {len(photos)} are given; give a folder's name.")
    if len(names) < len(photos):
        raise UsageError(
            "Two photos have the same name, and pictures are named after them; give one at a time, or no --out."
        )


def _at_least(min_score: float, found: Detections) -> Detections:
    """Best first."""
    from .detector import Detections

    kept = [i for i in (-found.scores).argsort(kind="stable").tolist() if found.scores[i] >= min_score]
    masks = None if found.masks is None else tuple(found.masks[index] for index in kept)
    return Detections(
        found.photo_id, found.boxes[kept], found.scores[kept], tuple(found.names[index] for index in kept), masks
    )


def _write(pictures: dict[Path, Image.Image], out: Path, overwrite: bool) -> None:
    from ...hub.atomic import new_folder
    from ...hub.pictures import write_picture

    if len(pictures) == 1:
        [picture] = pictures.values()
        write_picture(picture, out, overwrite=overwrite)
        return
    with new_folder(out, overwrite) as folder:
        for path, picture in pictures.items():
            write_picture(picture, folder / f"{path.stem}.png")


def _as_json(found: Detections) -> dict[str, Any]:
    objects: list[dict[str, Any]] = []
    for place, (name, score, box) in enumerate(zip(found.names, found.scores.tolist(), found.boxes.tolist())):
        objects.append({"class": name, "score": round(score, 4), "box": [round(edge, 1) for edge in box]})
        if found.masks is not None:
            objects[-1]["mask"] = found.masks[place].as_coco()
    return {"photo": found.photo_id, "found": objects}


def _print_table(console: Any, found: list[Detections], min_score: float) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    for one in found:
        if not one.names:
            nothing = f"{one.photo_id}: nothing with a score of {min_score:g} or more."
            console.print(nothing, highlight=False, markup=False, soft_wrap=True)
            continue
        numbers = [Column(heading, justify="right") for heading in ("score", "left, top", "right, bottom")]
        table = Table("class", *numbers)
        for name, score, box in zip(one.names, one.scores.tolist(), one.boxes.tolist()):
            corners = [f"{box[0]:.0f}, {box[1]:.0f}", f"{box[2]:.0f}, {box[3]:.0f}"]
            table.add_row(escape(name), f"{score:.2f}", *corners)
        console.print(f"{one.photo_id}:", highlight=False, markup=False, soft_wrap=True)
        console.print(table)
