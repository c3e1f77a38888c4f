"""The command `detect`: what a trained detector finds in photos, as a table, as pictures, as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...hub.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image

    from ...hub.output.terminal import Terminal
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

    Example: goodviews detect runs/coco photo.jpg --out boxes.png

    Args:
        run: The folder of a finished detection run.
        photos: Photos of any size.
        out: Draw boxes and masks into this .png or .jpg; for several photos, the folder to make.
        min_score: Leave out objects below this score, 0 to 1.
        json: Print JSON instead of a table: boxes as xmin, ymin, xmax, ymax in pixels, masks as COCO run lengths.
        overwrite: Replace OUT if it exists.
    """
    from ...hub.images import read_image
    from ...hub.output.printing import json_text
    from ...hub.output.terminal import Terminal
    from .draw_objects import draw_detections
    from .load_detector import load_detector

    inputs = [run, *photos]
    _check(photos, out, min_score, overwrite, inputs)
    detector = load_detector(run)
    images = [read_image(path, values=detector.preprocessing.values) for path in photos]
    detections = [_at_least(min_score, detector.detect(image, str(path))) for image, path in zip(images, photos)]
    if out is not None:
        pictures = (draw_detections(image, one, detector.classes) for image, one in zip(images, detections))
        _write(dict(zip(photos, pictures)), out, overwrite, inputs)
    if json:
        print(json_text([_to_json(one) for one in detections]))
        return
    console = Terminal()
    _print_tables(console, detections, min_score)
    if out is not None:
        console.print(
            f"{'Picture' if len(photos) == 1 else 'Pictures'}: {out}", highlight=False, markup=False, soft_wrap=True
        )


def _check(photos: list[Path], out: Path | None, min_score: float, overwrite: bool, inputs: list[Path]) -> None:
    """Refuses what can be refused before anything is loaded."""
    from ...hub.files.overwrite import refuse_folder
    from ...hub.images import has_image_suffix
    from ...hub.output.pictures import check_picture_name, is_picture_name

    if not 0 <= min_score <= 1:
        raise UsageError(f"--min-score is {min_score}; it must be 0 to 1.")
    if out is None:
        return
    if len(photos) == 1:
        check_picture_name(out, overwrite, inputs=inputs)
    else:
        refuse_folder(out, overwrite, kind="pictures", inputs=inputs)
    names = {path.stem for path in photos}
    if len(photos) > 1 and (is_picture_name(out) or has_image_suffix(out.name)):
        raise UsageError(f"{out} can hold the picture of one photo, and {len(photos)} are given; give a folder's name.")
    if len(names) < len(photos):
        raise UsageError(
            "Two photos have the same name, and pictures are named after them; give one at a time, or no --out."
        )


def _at_least(min_score: float, detections: Detections) -> Detections:
    """Those with this score or more, the highest first."""
    from .detector import Detections

    order = (-detections.scores).argsort(kind="stable").tolist()
    chosen = [index for index in order if detections.scores[index] >= min_score]
    names = tuple(detections.names[index] for index in chosen)
    masks = None if detections.masks is None else tuple(detections.masks[index] for index in chosen)
    return Detections(detections.photo_id, detections.boxes[chosen], detections.scores[chosen], names, masks)


def _write(pictures: dict[Path, Image.Image], out: Path, overwrite: bool, inputs: list[Path]) -> None:
    from ...hub.files.atomic import new_folder
    from ...hub.output.pictures import write_picture

    if len(pictures) == 1:
        [picture] = pictures.values()
        write_picture(picture, out, overwrite=overwrite, inputs=inputs)
        return
    with new_folder(out, overwrite, kind="pictures", inputs=inputs) as folder:
        for path, picture in pictures.items():
            write_picture(picture, folder / f"{path.stem}.png")


def _to_json(detections: Detections) -> dict[str, Any]:
    objects: list[dict[str, Any]] = []
    rows = zip(detections.names, detections.scores.tolist(), detections.boxes.tolist())
    for place, (name, score, box) in enumerate(rows):
        objects.append({"class": name, "score": round(score, 4), "box": [round(edge, 1) for edge in box]})
        if detections.masks is not None:
            objects[-1]["mask"] = detections.masks[place].as_coco()
    return {"photo": detections.photo_id, "found": objects}


def _print_tables(console: Terminal, detections: list[Detections], min_score: float) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    for one in detections:
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
