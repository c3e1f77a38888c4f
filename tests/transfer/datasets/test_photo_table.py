"""Photos in flat arrays: a sequence of the photos that went in, and columns of their objects."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from goodviews.transfer.datasets.labelled_photos import LabelledObject, LabelledPhoto, Rle
from goodviews.transfer.datasets.photo_table import NO_MASK, POLYGONS, RUNS, PhotoTable, pack

OUTLINES = ((1.0, 2.0, 8.0, 2.5, 4.0, 9.0), (0.0, 0.0, 3.0, 0.0, 3.0, 3.0, 0.0, 3.0))
CAT = LabelledObject("cat", (1, 2, 8, 9), area=30.5, mask=OUTLINES)
DOG = LabelledObject("dog", (0.25, 0, 40, 30), is_difficult=True)
HERD = LabelledObject("dog", (0, 0, 40, 30), is_crowd=True, area=7, mask=Rle((30, 40), "PQ1"))
GAP = LabelledObject("cat", (3, 3, 3, 5), mask=())
PHOTOS = [
    LabelledPhoto("1", Path("a/1.jpg"), 40, 30, (CAT, DOG)),
    LabelledPhoto("näme", Path("a/\udcff.jpg"), 30, 40, ()),  # a name that is no UTF-8
    LabelledPhoto("3", Path("b/3.jpg"), 40, 30, (HERD, GAP, CAT)),
]


@pytest.fixture
def table() -> PhotoTable:
    return pack(PHOTOS)


def test_photos_are_those_that_went_in_in_their_order(table: PhotoTable):
    assert len(table) == 3
    assert list(table) == PHOTOS
    assert (table[-1], table[1]) == (PHOTOS[2], PHOTOS[1])
    assert table.paths() == [photo.path for photo in PHOTOS]
    with pytest.raises(IndexError):
        table[3]


@pytest.mark.parametrize("part", [slice(1, None), slice(0, 0), slice(None, None, -1), slice(0, 3, 2), slice(-5, 9)])
def test_a_slice_is_a_table_of_those_photos_alone(table: PhotoTable, part: slice):
    assert list(table[part]) == PHOTOS[part]
    assert len(table[part].labels) == sum(len(photo.objects) for photo in PHOTOS[part])
    assert table[part].arrays is table.arrays


def test_columns_have_a_row_for_each_object_photo_after_photo(table: PhotoTable):
    things = [thing for photo in PHOTOS for thing in photo.objects]
    assert [table.names[label] for label in table.labels] == [thing.name for thing in things]
    assert table.boxes.tolist() == [list(thing.box) for thing in things]
    assert table.counts.tolist() == [2, 0, 3]
    assert table.sizes.tolist() == [[40, 30], [30, 40], [40, 30]]
    assert table.is_crowd.tolist() == [thing.is_crowd for thing in things]
    assert table.is_difficult.tolist() == [thing.is_difficult for thing in things]
    assert table.mask_kinds.tolist() == [POLYGONS, NO_MASK, RUNS, POLYGONS, POLYGONS]
    assert table.is_mask_empty.tolist() == [thing.mask == () for thing in things]
    assert [table.photo_of(row).id for row in range(5)] == ["1", "1", "3", "3", "3"]


@pytest.mark.parametrize(
    "keep", [lambda one: not one.is_crowd, lambda one: one.name == "dog", lambda one: False, lambda one: True]
)
def test_some_of_the_objects_stay_with_their_photos(table: PhotoTable, keep: Callable[[LabelledObject], bool]):
    chosen = np.array([keep(thing) for photo in PHOTOS for thing in photo.objects])
    expected = [replace(photo, objects=tuple(filter(keep, photo.objects))) for photo in PHOTOS]
    assert list(table.keep(chosen)) == expected
    assert list(table.keep(chosen).with_objects()) == [photo for photo in expected if photo.objects]
    again = np.arange(chosen.sum()) > 0
    first = next((thing for photo in expected for thing in photo.objects), None)
    left = [thing for photo in table.keep(chosen).keep(again) for thing in photo.objects]
    assert [first, *left] == [thing for photo in expected for thing in photo.objects] or first is None


def test_a_range_of_values_is_of_every_photo(table: PhotoTable):
    assert [photo.values for photo in table.with_values((0, 4095))[1:]] == [(0, 4095)] * 2
    assert table.with_values(None) is table


def test_tables_are_equal_where_their_photos_are(table: PhotoTable):
    assert table == pack(PHOTOS)
    assert pickle.loads(pickle.dumps(table[1:])) == table[1:]
    assert table != pack(PHOTOS[:2])
    assert table != PHOTOS


def test_no_photos_are_a_table_too():
    empty = pack([])
    assert (len(empty), list(empty), empty.boxes.shape, empty.paths()) == (0, [], (0, 4), [])
    assert list(empty.with_objects()) == []
