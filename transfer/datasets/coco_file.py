"""Reads a file in COCO's format entry by entry: its annotations become columns, never all Python objects at once.

Torch-free.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from ...hub.errors import DataError
from .coco_entries import LISTS, entries_of_lists
from .coco_objects import LARGEST_NUMBER, short_polygons
from .photo_table import Columns

_OF_AN_IMAGE = ("id", "file_name", "width", "height")  # what is used; the rest is forgotten
_NUMBERS = {int, float}
_decode = json.JSONDecoder().raw_decode
_NO_BOX = array("d", bytes(32))


@dataclass
class Annotations:
    """The annotations, in their order in the file.

    One whose entry is not plain (run lengths, polygons without three corners, anything wrong) has a row of zeros; ask
    for its `entry`. Plain ones, which are asked for only where something is wrong, are then read again: the text of a
    large file would take as much memory as all that is made of it.
    """

    labels: Path
    load: Callable[[], str]  # reads the text
    has_booleans: bool  # anywhere in the file; an array would take them as numbers
    starts: array[int] = field(default_factory=lambda: array("q"))  # where each entry begins in the text
    is_plain: bytearray = field(default_factory=bytearray)
    ids: array[int] = field(default_factory=lambda: array("q"))  # of those that have a whole number
    images: array[int] = field(default_factory=lambda: array("q"))  # ids, 0 where not plain
    columns: Columns = field(default_factory=Columns)  # labels are ids of categories
    short_polygons: int = 0
    odd: dict[int, str] = field(default_factory=dict)  # JSON of those that are not plain, smaller than their objects

    def __len__(self) -> int:
        return len(self.starts)

    def entry(self, place: int) -> dict[str, Any]:
        """As it is in the file.

        Raises:
            DataError: another file has taken its place.
        """
        try:
            text, start = (self.odd[place], 0) if place in self.odd else (self._text, self.starts[place])
            entry: dict[str, Any] = _decode(text, start)[0]
        except (OSError, ValueError):
            raise DataError(f"{self.labels} was changed while it was read; start again.") from None
        return entry

    @cached_property
    def _text(self) -> str:
        return self.load()

    def add(self, entry: dict[str, Any], start: int) -> None:
        """Adds an entry that begins at `start` of the text."""
        if _is_id(number := entry.get("id")):
            self.ids.append(number)
        plain = _plain(entry, has_booleans=self.has_booleans)
        self.is_plain.append(plain is not None)
        if plain is None:
            self.short_polygons += short_polygons(entry)
            self.odd[len(self)] = json.dumps(entry)
        self.starts.append(start)
        image, category, corners, area, polygons = plain or (0, 0, _NO_BOX, None, None)
        self.images.append(image)
        is_crowd = entry.get("iscrowd") == 1
        self.columns.add_object(category, corners, area, polygons, is_difficult=False, is_crowd=is_crowd)

    def repeated_ids(self) -> Iterator[tuple[str, int]]:
        """Each id that several annotations have, and how often."""
        if len(np.unique(self.ids)) == len(self):
            return
        entries = (self.entry(place) for place in range(len(self)))
        for number, times in Counter(str(entry["id"]) for entry in entries if "id" in entry).items():
            if times > 1:
                yield number, times


@dataclass(frozen=True)
class CocoFile:
    """The three lists of a file."""

    images: list[dict[str, Any]]  # what is used of them
    categories: list[dict[str, Any]]
    annotations: Annotations


def read_file(labels: Path) -> CocoFile:
    """Reads a file of labels.

    Raises:
        DataError: it is no JSON, or lacks one of the lists, or has something else in one.
    """
    try:
        return _read(labels, partial(_text, labels))
    except (ValueError, RecursionError):
        return _read(labels, lambda: json.dumps(_whole(labels)))
    except OSError as error:
        raise DataError(f"{labels} cannot be read ({error.strerror}).") from None


def _text(labels: Path) -> str:
    content = labels.read_bytes()
    return content.decode(json.detect_encoding(content), "surrogatepass")


def _read(labels: Path, load: Callable[[], str]) -> CocoFile:
    """Raises ValueError where the file must be looked at as a whole."""
    text = load()
    file = CocoFile([], [], Annotations(labels, load, "true" in text or "false" in text))
    for name, start, entry in entries_of_lists(text):
        if name == "annotations":
            file.annotations.add(entry, start)
        elif name == "images":
            file.images.append({key: entry[key] for key in _OF_AN_IMAGE if key in entry})
        else:
            file.categories.append(entry)
    if not file.images or not file.categories:
        raise ValueError("a list is empty")
    return file


def _whole(labels: Path) -> dict[str, list[dict[str, Any]]]:
    """The content of a file with something unusual in it, such as a key that is there twice, checked."""
    try:
        content = json.loads(labels.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{labels} is not readable as JSON ({str(error) or 'nested too deep'}).") from None
    for name in LISTS:
        entries = content.get(name) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DataError(f"{labels} is not in COCO's format: it has no list of {name}.")
        if not entries and name != "annotations":
            raise DataError(f"{labels} has an empty list of {name}.")
    return {name: content[name] for name in LISTS}


def _plain(
    entry: dict[str, Any], *, has_booleans: bool
) -> tuple[int, int, array[float], float | None, list[array[float]] | None] | None:
    """Ids of image and category, corners, area and polygons of an entry, each of the usual type; None of any other."""
    image, category = entry.get("image_id"), entry.get("category_id")
    box, area, polygons = entry.get("bbox"), entry.get("area"), entry.get("segmentation") or None
    if not _is_id(image) or not _is_id(category):
        return None
    if type(box) is not list or len(box) != 4 or (polygons is not None and type(polygons) is not list):
        return None
    if area is not None and (type(area) not in _NUMBERS or not abs(area) <= LARGEST_NUMBER):
        return None
    try:
        if has_booleans and not all(_NUMBERS.issuperset(map(type, values)) for values in (box, *(polygons or ()))):
            return None
        x, y, width, height = corners = array("d", box)
        corners[2:] = array("d", (x + width, y + height))
        outlines = None if polygons is None else [array("d", polygon) for polygon in polygons if _is_outline(polygon)]
    except (TypeError, OverflowError):  # no numbers, or larger than any float
        return None
    if not min(width, height) >= 0 or len(outlines or ()) < len(polygons or ()):
        return None
    return image, category, corners, area, outlines


def _is_id(value: Any) -> TypeGuard[int]:
    return type(value) is int and abs(value) < 2**62


def _is_outline(polygon: Any) -> bool:
    """Three corners or more, each by x and y."""
    return type(polygon) is list and len(polygon) >= 6 and len(polygon) % 2 == 0
