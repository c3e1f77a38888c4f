"""Labelled photos in flat arrays that processes share; a `LabelledPhoto` is made when it is asked for. Torch-free.

A hundred thousand photos with their polygons take gigabytes as Python objects, in every process. As arrays they take
a few hundred megabytes a machine, and what concerns all of them (sizes, boxes, which objects are crowds) is answered
column by column. `Columns` collects what a reader reads, `PhotoTable` is what it returns.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import overload

import numpy as np

from ...hub.deep_pixels import Values
from .labelled_photos import LabelledObject, LabelledPhoto, Mask, Rle
from .shared_arrays import SharedArrays

NO_MASK, POLYGONS, RUNS = 0, 1, 2  # kinds of masks
_NAN = float("nan")


@dataclass(frozen=True, eq=False)
class PhotoTable(Sequence[LabelledPhoto]):
    """Photos, perhaps some of those that were read, with some of their objects. Pickled, it is a handle.

    The columns of objects (`labels`, `boxes`, ...) have a row for each object of these photos, photo after photo.
    """

    arrays: SharedArrays  # of everything that was read, see `Columns.table`
    names: tuple[str, ...]  # of classes, by label
    photos: np.ndarray  # (N,) rows of `arrays`
    first: np.ndarray  # (N + 1,) photo i has the objects from first[i] to first[i + 1]
    objects: np.ndarray  # (M,) rows of `arrays`
    values: Values | None = None  # of photos of more than 8 bits: which are black and white

    def __len__(self) -> int:
        return len(self.photos)

    @overload
    def __getitem__(self, place: int) -> LabelledPhoto: ...

    @overload
    def __getitem__(self, place: slice) -> PhotoTable: ...

    def __getitem__(self, place: int | slice) -> LabelledPhoto | PhotoTable:
        if isinstance(place, slice):
            return self._take(np.arange(len(self))[place])
        row, place = self.photos[place], range(len(self))[place]
        objects = self.objects[self.first[place] : self.first[place + 1]].tolist()
        width, height = self.arrays["sizes"][row].tolist()
        size = (height, width)
        things = tuple(self._object(one, size) for one in objects)
        return LabelledPhoto(self._text("ids", row), self._path(row), width, height, things, self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PhotoTable) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # as a list

    @property
    def sizes(self) -> np.ndarray:
        """(N, 2) widths and heights."""
        return self.arrays["sizes"][self.photos]

    @property
    def counts(self) -> np.ndarray:
        """(N,) how many objects each photo has."""
        return np.diff(self.first)

    @property
    def labels(self) -> np.ndarray:
        """(M,) positions in `names`."""
        return self.arrays["labels"][self.objects]

    @property
    def boxes(self) -> np.ndarray:
        """(M, 4) as `LabelledObject.box`."""
        return self.arrays["boxes"][self.objects]

    @property
    def is_crowd(self) -> np.ndarray:
        """(M,) bool."""
        return self.arrays["is_crowd"][self.objects]

    @property
    def is_difficult(self) -> np.ndarray:
        """(M,) bool."""
        return self.arrays["is_difficult"][self.objects]

    @property
    def mask_kinds(self) -> np.ndarray:
        """(M,) NO_MASK, POLYGONS or RUNS."""
        return self.arrays["mask_kinds"][self.objects]

    @property
    def is_mask_empty(self) -> np.ndarray:
        """(M,) bool: the mask is (), as all its polygons were left out."""
        ends = self.arrays["polygon_ends"]
        return (self.mask_kinds == POLYGONS) & (ends[self.objects + 1] == ends[self.objects])

    def paths(self) -> list[Path]:
        """The files of the photos."""
        return [self._path(row) for row in self.photos]

    def photo_of(self, thing: int) -> LabelledPhoto:
        """The photo of an object, a row of the columns."""
        return self[int(np.searchsorted(self.first, thing, side="right")) - 1]

    def keep(self, objects: np.ndarray) -> PhotoTable:
        """Some of the objects, (M,) bool, and all photos."""
        places = np.concatenate([[0], np.cumsum(objects)])
        return replace(self, first=places[self.first], objects=self.objects[objects])

    def with_objects(self) -> PhotoTable:
        """The photos that have an object."""
        return self._take(np.flatnonzero(self.counts))

    def with_values(self, values: Values | None) -> PhotoTable:
        """The same photos, of more than 8 bits with this range of values; None changes nothing."""
        return self if values is None else replace(self, values=values)

    def _take(self, places: np.ndarray) -> PhotoTable:
        counts = self.counts[places]
        first = np.concatenate([[0], np.cumsum(counts)])
        rows = np.arange(first[-1]) + np.repeat(self.first[places] - first[:-1], counts)
        return replace(self, photos=self.photos[places], first=first, objects=self.objects[rows])

    def _object(self, row: int, size: tuple[int, int]) -> LabelledObject:
        columns = self.arrays
        area = float(columns["areas"][row])
        return LabelledObject(
            self.names[columns["labels"][row]],
            tuple(columns["boxes"][row].tolist()),
            is_difficult=bool(columns["is_difficult"][row]),
            is_crowd=bool(columns["is_crowd"][row]),
            area=None if area != area else area,
            mask=self._mask(row, size),
        )

    def _mask(self, row: int, size: tuple[int, int]) -> Mask | None:
        kind = self.arrays["mask_kinds"][row]
        if kind == NO_MASK:
            return None
        if kind == RUNS:
            return Rle(size, self._text("runs", row))
        start, stop = self.arrays["polygon_ends"][row : row + 2]
        ends, numbers = self.arrays["number_ends"][start : stop + 1].tolist(), self.arrays["numbers"]
        return tuple(tuple(numbers[begin:end].tolist()) for begin, end in pairwise(ends))

    def _path(self, row: int) -> Path:
        return Path(self._text("paths", row))

    def _text(self, name: str, row: int) -> str:
        start, stop = self.arrays[f"{name}_ends"][row : row + 2]
        return self.arrays[name][start:stop].tobytes().decode("utf-8", "surrogatepass")


@dataclass
class _Texts:
    """Texts one after the other, and where each ends."""

    content: bytearray = field(default_factory=bytearray)
    ends: array[int] = field(default_factory=lambda: array("q", [0]))

    def add(self, text: str) -> None:
        self.content += text.encode("utf-8", "surrogatepass")
        self.ends.append(len(self.content))

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        return {name: np.frombuffer(self.content, np.uint8), f"{name}_ends": np.frombuffer(self.ends, np.int64)}


@dataclass
class Columns:
    """Photos and objects as they are read, in any order. Numbers lie one after the other, with where each part ends."""

    sizes: array[int] = field(default_factory=lambda: array("q"))
    ids: _Texts = field(default_factory=_Texts)
    paths: _Texts = field(default_factory=_Texts)
    labels: array[int] = field(default_factory=lambda: array("q"))
    boxes: array[float] = field(default_factory=lambda: array("d"))
    areas: array[float] = field(default_factory=lambda: array("d"))  # NaN for None
    is_difficult: bytearray = field(default_factory=bytearray)
    is_crowd: bytearray = field(default_factory=bytearray)
    mask_kinds: bytearray = field(default_factory=bytearray)
    polygon_ends: array[int] = field(default_factory=lambda: array("q", [0]))  # of each object, in polygons
    number_ends: array[int] = field(default_factory=lambda: array("q", [0]))  # of each polygon, in numbers
    numbers: array[float] = field(default_factory=lambda: array("d"))
    runs: _Texts = field(default_factory=_Texts)

    def add_photo(self, photo: LabelledPhoto) -> None:
        """Adds a photo without its objects."""
        self.ids.add(photo.id)
        self.paths.add(str(photo.path))
        self.sizes.extend((photo.width, photo.height))

    def add_object(
        self,
        label: int,
        box: array[float],
        area: float | None,
        polygons: Iterable[array[float]] | None,
        *,
        is_difficult: bool,
        is_crowd: bool,
    ) -> None:
        """Adds an object without a mask, or with one of outlines."""
        self.labels.append(label)
        self.boxes.extend(box)
        self.areas.append(_NAN if area is None else area)
        self.is_difficult.append(is_difficult)
        self.is_crowd.append(is_crowd)
        self.mask_kinds.append(NO_MASK if polygons is None else POLYGONS)
        for polygon in polygons or ():
            self.numbers.extend(polygon)
            self.number_ends.append(len(self.numbers))
        self.polygon_ends.append(len(self.number_ends) - 1)
        self.runs.ends.append(len(self.runs.content))

    def add_labelled(self, thing: LabelledObject, label: int) -> None:
        """Adds an object with its mask."""
        outlines = None if isinstance(thing.mask, Rle) else thing.mask
        polygons = None if outlines is None else [array("d", outline) for outline in outlines]
        self.add_object(
            label,
            array("d", thing.box),
            thing.area,
            polygons,
            is_difficult=thing.is_difficult,
            is_crowd=thing.is_crowd,
        )
        if isinstance(thing.mask, Rle):
            self.mask_kinds[-1] = RUNS
            self.runs.ends.pop()
            self.runs.add(thing.mask.counts)

    def table(self, names: Sequence[str], counts: np.ndarray, objects: np.ndarray) -> PhotoTable:
        """The photos in the order in which they were added.

        Args:
            names: Of classes, by label.
            counts: (N,) how many objects each photo has.
            objects: (M,) which they are, photo after photo, counted as they were added.
        """
        arrays = {
            "sizes": np.frombuffer(self.sizes, np.int64).reshape(-1, 2),
            "labels": np.frombuffer(self.labels, np.int64),
            "boxes": np.frombuffer(self.boxes).reshape(-1, 4),
            "areas": np.frombuffer(self.areas),
            "is_difficult": np.frombuffer(self.is_difficult, bool),
            "is_crowd": np.frombuffer(self.is_crowd, bool),
            "mask_kinds": np.frombuffer(self.mask_kinds, np.uint8),
            "polygon_ends": np.frombuffer(self.polygon_ends, np.int64),
            "number_ends": np.frombuffer(self.number_ends, np.int64),
            "numbers": np.frombuffer(self.numbers),
            **self.ids.arrays("ids"),
            **self.paths.arrays("paths"),
            **self.runs.arrays("runs"),
        }
        first = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        return PhotoTable(SharedArrays(arrays), tuple(names), np.arange(len(counts)), first, objects)


def pack(photos: Iterable[LabelledPhoto]) -> PhotoTable:
    """The photos as a table, without their `values`; a mask in run lengths has its photo's size."""
    columns, label, counts = Columns(), dict[str, int](), []
    for photo in photos:
        columns.add_photo(photo)
        counts.append(len(photo.objects))
        for thing in photo.objects:
            columns.add_labelled(thing, label.setdefault(thing.name, len(label)))
    return columns.table(tuple(label), np.array(counts, np.int64), np.arange(len(columns.labels)))
