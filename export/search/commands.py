"""The commands `search` and `duplicates`: they open what is named, call the library, and print what came of it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from ...hub.output.terminal import Terminal
from ..printing import print_line

if TYPE_CHECKING:
    from ..index.image_index import ImageIndex
    from ..index.item import Match

COPY_THRESHOLD = 0.95


def search(
    index: Path,
    images: list[Path],
    *,
    k: Annotated[int, Parameter(name=("-k", "--k"))] = 5,
    folder: str | None = None,
    label: str | None = None,
    after: str | None = None,
    before: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    out: Path | None = None,
    encoder: str | None = None,
    overwrite: bool = False,
) -> None:
    """Find the photos most like one photo, or like each of several.

    Prints their ids, cosine similarities (1 for the same direction) and paths, the most similar first. Photos whose
    files are no longer there are marked.

    Example: goodviews search index cat.jpg -k 5 --out neighbours.png

    Args:
        index: Index folder.
        images: Photos to look up, or folders of them; they need not be in the index.
        k: Number of neighbours; of an index with fewer photos, all of them.
        folder: Only photos below this folder: a path as results show it, or a whole one.
        label: Only photos with this label, their class folder.
        after: Only photos taken on this day or later, as in 2024-05-31; their files must say when.
        before: Only photos taken before this day.
        as_json: Print JSON: for each photo its matches with id, similarity, path, file, label and date.
        out: Picture to draw of the photo and its neighbours, .png or .jpg; by default none. For one photo only.
        encoder: Where the index's encoder is now, on PyTorch or exported; by default where it was.
        overwrite: Replace the picture if it exists.
    """
    from ...hub.errors import UsageError
    from ...hub.images import read_image
    from ...hub.output.pictures import check_picture_name
    from ..index.image_index import load
    from ..index.item import Filter
    from ..index.open_encoder import encoder_of, values_of
    from .neighbours import draw_neighbours
    from .photo_search import search_many

    console, among = Terminal(), Filter(folder, label, after, before)
    inputs = (index, *images, encoder)
    if out is not None:
        check_picture_name(out, overwrite, inputs=inputs)
    opened = load(index)
    opened.refuse_k(k)
    paths = _photos(images)
    if out is not None and len(paths) > 1:
        raise UsageError(f"A picture shows the neighbours of one photo, and there are {len(paths)}; leave out --out.")
    values = values_of(opened)
    photos = [read_image(path, values=values) for path in paths]  # an unreadable one is known before the encoder opens
    found = search_many(opened, encoder_of(opened, encoder, verify=False), photos, k, among=among)
    if as_json:
        answers = [
            {"query": _text(path), "matches": [_described(opened, match) for match in matches]}
            for path, matches in zip(paths, found)
        ]
        console.print(json.dumps(answers, indent=2, ensure_ascii=True), markup=False, highlight=False, soft_wrap=True)
    else:
        _print_table(console, opened, paths, found)
    if out is not None:
        shown = [(opened.locate(match.item), match.similarity) for match in found[0]]
        draw_neighbours(photos[0], shown, out, name=paths[0].name, values=values, overwrite=overwrite, inputs=inputs)
        print_line(console, f"picture: {out}")


def duplicates(
    index: Path,
    *,
    threshold: float = COPY_THRESHOLD,
    out: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Find photos of an index that are nearly the same.

    Prints the groups. With --out, it makes a folder with a page to look at (duplicates.html), a list (duplicates.csv),
    and move_aside.sh, a script that moves all but the largest file of each group into a folder and deletes nothing.

    Example: goodviews duplicates index --threshold 0.97 --out duplicates

    Args:
        index: Index folder.
        threshold: Least cosine of two near-duplicates, above 0 and 1 at most. Encoders differ: look at the page.
        out: Folder to make; by default none.
        overwrite: Replace OUT if this command wrote it.
    """
    from ...hub.files.overwrite import refuse_folder
    from ..index.image_index import load
    from .duplicates import PAGE, SCRIPT, find_duplicates, write_duplicates

    console = Terminal()
    if out is not None:
        refuse_folder(out, overwrite, kind="duplicates", inputs=(index,))
    opened = load(index)
    groups = find_duplicates(opened, threshold)
    table = Table("group", "id", "similarity", "image")
    for number, group in enumerate(groups, 1):
        for copy in group:
            similarity = "stays" if copy.stays else f"{copy.similarity:.4f}"
            table.add_row(str(number), str(copy.item.id), similarity, escape(copy.name))
    if groups:
        console.print(table)
    photos = sum(map(len, groups))
    print_line(console, f"{index}: {photos} of {len(opened)} photos in {len(groups)} groups of near-duplicates")
    if out is not None:
        write_duplicates(opened, groups, threshold, out, overwrite=overwrite, inputs=(index,))
        print_line(console, f"page: {out / PAGE}; to move them aside: sh {out / SCRIPT} FOLDER")


def _photos(images: Sequence[Path]) -> list[Path]:
    from ...hub.sources.folders import find_images

    return [path for image in images for path in (find_images(image) if image.is_dir() else [image])]


def _print_table(
    console: Terminal, index: "ImageIndex", paths: Sequence[Path], found: "Sequence[Sequence[Match]]"
) -> None:
    first = ("query",) if len(paths) > 1 else ()
    table = Table(*first, "id", "similarity", "image")
    for path, matches in zip(paths, found):
        for match in matches:
            gone = "" if match.item.full_path.is_file() else " (file is gone)"
            cells = [str(match.item.id), f"{match.similarity:.4f}", escape(index.name_of(match.item)) + gone]
            table.add_row(*([escape(str(path))] if first else []), *cells)
    console.print(table)
    if not any(found):
        print_line(console, "No photo of the index meets the conditions.")


def _described(index: "ImageIndex", match: "Match") -> dict[str, Any]:
    item = match.item
    return {
        "id": item.id,
        "similarity": round(match.similarity, 6),
        "path": _text(index.name_of(item)),
        "file": _text(item.full_path),
        "label": None if item.label is None else _text(item.label),
        "date": item.date,
        "is_there": item.full_path.is_file(),
    }


def _text(path: Path | str) -> str:
    from ...hub.files.path_names import as_stored

    return as_stored(path)
