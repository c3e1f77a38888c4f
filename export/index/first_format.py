"""An index of the first format: index.json, items.json and an exact index.faiss. It is read as today's is.

Its photos go into a database in memory, and its vectors are read out of index.faiss without faiss.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from ...hub.errors import ArtifactError
from ...hub.files.json_files import Place, read_json
from ...hub.identity import EncoderId
from ..nearest.segments import Segment
from .about import REMEDY, About
from .faiss_header import check_faiss_file, data_places
from .item import Item, label_of
from .table import Table, create

FILES = ("items.json", "index.faiss")


def read_first_about(folder: Path, content: dict[str, Any]) -> About:
    """Its index.json.

    Raises:
        ArtifactError: a field is missing or wrong.
    """
    from ...hub.schemas.record import check
    from .schema import FirstAboutFile

    path = folder / "index.json"
    found = check(FirstAboutFile, content, Place(path, REMEDY))
    encoder = EncoderId.from_json(content.get("encoder"), path)
    return About(encoder, found.source, found.backend, Path(found.root), tuple(map(Path, found.further_roots)))


def read_first(folder: Path, about: About) -> tuple[Table, list[Segment]]:
    """Its photos and vectors.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    items, next_id = read_first_items(folder, about)
    segment = _read_vectors(folder / "index.faiss", about.dimension)
    row_of = {int(key): row for row, key in enumerate(segment.ids)}
    if len(row_of) < len(segment):
        raise ArtifactError(f"{folder} is damaged: an id has two vectors; build it again.")
    missing = sum(item.id not in row_of for item in items)
    if missing:
        raise ArtifactError(f"{folder} is damaged: {missing} of its images have no vector; build it again.")
    table = create(None)
    roots = {root: number for number, root in enumerate((about.root, *about.further_roots), 1)}
    table.change("INSERT INTO roots VALUES (?, ?, 1)", [(key, os.fsencode(root)) for root, key in roots.items()])
    rows = [
        (item.id, roots[item.root], os.fsencode(item.path), item.size, _label(item), item.modified_ns, row_of[item.id])
        for item in items
    ]
    table.change("INSERT INTO items VALUES (?, ?, ?, NULL, ?, NULL, ?, ?, ?)", rows)
    left_over = row_of.keys() - {item.id for item in items}  # by an interrupted add or remove
    table.change("INSERT INTO dead_rows VALUES (?)", [(row_of[key],) for key in sorted(left_over)])
    table.put("generation", first_generation(folder))
    table.put("next_id", next_id)
    table.put("count", len(items))
    return table, [segment] if len(segment) else []


def read_first_items(folder: Path, about: About) -> tuple[list[Item], int]:
    """items.json: the photos, and the first id never used.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    path = folder / "items.json"
    if not path.is_file():
        raise ArtifactError(f"{path} is missing; the index is incomplete, build it again.")
    from ...hub.schemas.record import check
    from .schema import FirstItemsFile

    place = Place(path, "the index is damaged, build it again")
    found = check(FirstItemsFile, read_json(place, is_plain=False), place)
    if len({item.id for item in found.items}) < len(found.items):
        raise ArtifactError(f"{path} gives two images one id; the index is damaged, build it again.")
    if len({item.path for item in found.items}) < len(found.items):
        raise ArtifactError(f"{path} names one photo twice; the index is damaged, build it again.")
    if found.items and max(item.id for item in found.items) >= found.next_id:
        raise place.refuse("next_id", found.next_id, "above every id")
    items = []
    for item in found.items:
        root, name = _placed(item.path, about)
        size, modified_ns = item.metadata.get("bytes"), item.metadata.get("modified_ns")
        items.append(Item(item.id, name, root, None, size, None, label_of(name), modified_ns))
    return items, found.next_id


def first_generation(folder: Path) -> int:
    """When items.json was written, in microseconds."""
    try:
        return (folder / "items.json").stat().st_mtime_ns // 1000
    except FileNotFoundError:
        raise ArtifactError(f"{folder / 'items.json'} is missing; the index is incomplete, build it again.") from None


def _placed(path: str, about: About) -> tuple[Path, str]:
    """The root of a photo, and its path from there: an absolute one is from the deepest further root it lies in."""
    if Path(path).is_absolute():
        above = [root for root in about.further_roots if Path(os.path.normpath(path)).is_relative_to(root)]
        if above:
            root = max(above, key=lambda one: len(one.parts))
            return root, Path(os.path.normpath(path)).relative_to(root).as_posix()
    return about.root, path


def _label(item: Item) -> bytes | None:
    is_inside = not Path(item.path).is_absolute()
    return os.fsencode(item.label) if is_inside and item.label is not None else None


def _read_vectors(path: Path, dimension: int) -> Segment:
    count = check_faiss_file(path, dimension)
    if not count:
        return Segment(0, np.empty((0, dimension), np.float32), np.empty(0, np.int64))
    vectors_at, ids_at = data_places(count, dimension)
    vectors = np.fromfile(path, np.float32, count * dimension, offset=vectors_at).reshape(count, dimension)
    if not np.isfinite(vectors).all():
        raise ArtifactError(f"{path} holds NaN or infinity; build the index again with a sound encoder.")
    return Segment(0, vectors, np.fromfile(path, np.int64, count, offset=ids_at))
