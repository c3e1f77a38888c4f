"""Near-duplicates of an index as a page, a list, and a script that moves all but one of each group aside."""

import base64
import csv
import io
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...hub.errors import ArtifactError, DataError
from ...hub.files.atomic import new_folder, write_bytes, write_text
from ...hub.files.overwrite import Input
from ...hub.files.path_names import as_stored
from ...hub.output.templates import fill_template
from ..index.image_index import ImageIndex
from ..index.item import Item

PAGE, LIST, SCRIPT = "duplicates.html", "duplicates.csv", "move_aside.sh"
MOST_SHOWN = 500  # groups on the page; the list has all


@dataclass(frozen=True)
class Copy:
    """A photo of a group.

    Attributes:
        similarity: cosine to the photo of the group that stays.
        stays: whether it is that photo.
    """

    item: Item
    name: str
    similarity: float
    stays: bool


Group = list[Copy]  # the photo that stays first, then the others, the most similar first


def find_duplicates(index: ImageIndex, threshold: float) -> list[Group]:
    """Photos whose vectors have a cosine of `threshold` or more, in groups.

    Of each group the largest file stays, and of equal ones the photo with the lowest id.
    """
    return [_group(index, ids) for ids in index.duplicate_groups(threshold)]


def write_duplicates(
    index: ImageIndex,
    groups: Sequence[Group],
    threshold: float,
    out: Path,
    *,
    overwrite: bool = False,
    inputs: Sequence[Input] = (),
) -> Path:
    """The page, the list and the script, in a new folder.

    Raises:
        OutputExists: it exists and `overwrite` is off.
    """
    with new_folder(out, overwrite, kind="duplicates", inputs=inputs) as partial:
        write_text(partial / PAGE, draw_page(index, groups, threshold))
        write_text(partial / LIST, list_groups(groups))
        write_bytes(partial / SCRIPT, script(index, groups))
    return out


def list_groups(groups: Sequence[Group]) -> str:
    """A line a photo: its group, whether it stays, and what is known of it."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("group", "stays", "id", "path", "similarity", "bytes", "sha256"))
    for number, group in enumerate(groups, 1):
        for copy in group:
            item = copy.item
            stays = "yes" if copy.stays else "no"
            row = (number, stays, item.id, as_stored(item.full_path), f"{copy.similarity:.4f}", item.size, item.sha256)
            lines.writerow(row)
    return text.getvalue()


def draw_page(index: ImageIndex, groups: Sequence[Group], threshold: float) -> str:
    """HTML that needs no other file."""
    shown = [
        [
            {
                "id": copy.item.id,
                "name": as_stored(copy.name),
                "similarity": f"{copy.similarity:.4f}",
                "stays": copy.stays,
                "kilobytes": None if copy.item.size is None else f"{copy.item.size / 1000:,.0f}",
                "picture": _picture(index, copy.item),
            }
            for copy in group
        ]
        for group in groups[:MOST_SHOWN]
    ]
    values = {
        "index": as_stored(index.folder),
        "threshold": threshold,
        "groups": shown,
        "more": max(0, len(groups) - MOST_SHOWN),
        "photos": sum(map(len, groups)),
        "all": len(index),
    }
    return fill_template("goodviews.export.search", "duplicates.html.j2", values)


def script(index: ImageIndex, groups: Sequence[Group]) -> bytes:
    """A shell script; names of files are in it as the system has them."""
    lines = [
        b"#!/bin/sh",
        b"# Moves all but one photo of each group of near-duplicates into a folder, and deletes nothing.",
        b"# Look at duplicates.html first, and take out the lines of photos that shall stay. Then:",
        b"#     sh move_aside.sh FOLDER     (outside the folders of the index)",
        b"# and afterwards: goodviews index refresh " + os.fsencode(shlex.quote(str(index.folder.resolve()))),
        b"set -eu",
        b'aside=${1:?"give the folder that the photos are moved into"}',
        b"move() {  # file, name in the folder",
        b'    if [ ! -f "$1" ]; then echo "not there any more: $1" >&2; return; fi',
        b'    if [ -e "$aside/$2" ]; then echo "there already, not moved: $aside/$2" >&2; return; fi',
        b'    mkdir -p "$(dirname "$aside/$2")"',
        b'    mv -- "$1" "$aside/$2"',
        b"}",
    ]
    for number, group in enumerate(groups, 1):
        stays, *others = group
        lines.append(b"# group %d: %s stays" % (number, _in_comment(stays.name)))
        for copy in others:
            place = _place(index, copy.item)
            if place is not None:
                name = f"{number}/{copy.item.id}-{place.name}"
                lines.append(b"move " + os.fsencode(f"{shlex.quote(str(place))} {shlex.quote(name)}"))
    return b"\n".join(lines) + b"\n"


def _group(index: ImageIndex, ids: Sequence[int]) -> Group:
    items = index.items_of(ids)
    first = max(items, key=lambda item: (item.size or 0, -item.id))
    similarities = index.vectors_of(ids) @ index.vectors_of([first.id])[0]
    copies = [
        Copy(item, index.name_of(item), min(1.0, float(similarity)), item is first)
        for item, similarity in zip(items, similarities)
    ]
    return sorted(copies, key=lambda copy: (not copy.stays, -copy.similarity, copy.item.id))


def _picture(index: ImageIndex, item: Item) -> str | None:
    try:
        return "data:image/jpeg;base64," + base64.b64encode(index.thumbnail(item.id)).decode()
    except (DataError, ArtifactError):
        return None


def _place(index: ImageIndex, item: Item) -> Path | None:
    """Where a photo lies; None outside the folders that the index may open."""
    try:
        return index.locate(item)
    except ArtifactError:
        return None


def _in_comment(name: str) -> bytes:
    return os.fsencode("".join(letter if letter.isprintable() else "?" for letter in name))
