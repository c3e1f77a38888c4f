"""Training batches: boxes and masks follow their photo, and what is in a batch depends on the seed alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from goodviews.transfer.datasets.labelled_photos import LabelledObject, LabelledPhoto
from goodviews.transfer.datasets.masks import decode, encode
from goodviews.transfer.datasets.photo_table import pack
from goodviews.transfer.datasets.voc import read_voc
from goodviews.transfer.detection.photo_batches import batches, resize, trainable_photos
from goodviews.transfer.detection.settings import DetectionSettings

TINY = DetectionSettings(batch_size=2, short_sides_px=(48, 64), long_side_px=224)


def with_masks(photo: LabelledPhoto) -> LabelledPhoto:
    """Every object fills its box."""
    return replace(photo, objects=tuple(map(_filled, photo.objects)))


def _filled(thing: LabelledObject) -> LabelledObject:
    xmin, ymin, xmax, ymax = thing.box
    return replace(thing, mask=((xmin, ymin, xmax, ymin, xmax, ymax, xmin, ymax),))


@pytest.mark.parametrize(
    ("size", "expected"), [((500, 375), (1067, 800)), ((375, 500), (800, 1067)), ((2000, 500), (1333, 333))]
)
def test_photos_are_resized_as_detectron2_does(size, expected):
    assert resize(Image.new("RGB", size), 800, 1333).size == expected


def test_boxes_follow_their_photo_through_resizing_and_flipping(devkit: Path):
    settings = replace(TINY, short_sides_px=(144,), flip=1.0)
    photo, target = next(batches(read_voc(devkit).train, ("blue", "red"), settings, seed=0, stop=1))[0]
    x1, y1, x2, y2 = (int(edge) for edge in target["boxes"][0])
    inside, outside = photo[:, y1 + 4 : y2 - 4, x1 + 4 : x2 - 4].mean((1, 2)), photo[:, y1, max(x1 - 12, 0)]
    assert target["labels"].tolist() == [2, 1]
    assert inside[0] > 0.7  # red
    assert inside[1] < 0.25
    assert outside[1] > 0.3  # grey


@pytest.mark.parametrize("as_run_lengths", [False, True])
def test_masks_follow_their_photo_through_resizing_and_flipping(devkit: Path, as_run_lengths: bool):
    photo = with_masks(read_voc(devkit).train[0])
    if as_run_lengths:
        drawn = [decode(thing.mask, photo.height, photo.width) for thing in photo.objects]
        objects = tuple(replace(thing, mask=encode(one)) for thing, one in zip(photo.objects, drawn))
        photo = replace(photo, objects=objects)
    settings = replace(TINY, short_sides_px=(144,), flip=1.0, batch_size=1, masks=True)
    (seen, target), *_ = next(batches(pack([photo]), ("blue", "red"), settings, seed=0, stop=1))
    for box, mask in zip(target["boxes"], target["masks"], strict=True):
        rows, columns = decode(mask, *seen.shape[1:]).nonzero()
        assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == pytest.approx(box.tolist(), abs=1)


def test_crowds_empty_boxes_and_photos_without_objects_are_not_trained_on(devkit: Path):
    first, second, third = read_voc(devkit).train[:3]
    red, blue = first.objects
    flat = replace(blue, box=(5, 5, 5, 20))
    mixed = replace(first, objects=(replace(red, is_crowd=True), red, flat))
    only_a_crowd = replace(third, objects=(replace(red, is_crowd=True),))
    left = trainable_photos(pack([mixed, replace(second, objects=()), only_a_crowd]))
    assert list(left) == [replace(first, objects=(red,))]


def test_a_batch_is_the_same_wherever_reading_starts(devkit: Path):
    voc = read_voc(devkit)
    whole = list(batches(voc.train, voc.classes, TINY, seed=3, stop=5))
    rest = list(batches(voc.train, voc.classes, TINY, seed=3, start=3, stop=5))
    assert len(whole) == 5
    for one, other in zip(whole[3:], rest, strict=True):
        assert all(torch.equal(a[0], b[0]) and torch.equal(a[1]["boxes"], b[1]["boxes"]) for a, b in zip(one, other))


def test_processes_see_each_photo_of_a_pass_once(devkit: Path):
    voc = read_voc(devkit)
    shares = [list(batches(voc.train, voc.classes, TINY, seed=0, stop=3, rank=rank, world=2)) for rank in (0, 1)]
    seen = [photo for share in shares for batch in share for photo, _ in batch]
    assert [len(batch) for batch in shares[0]] == [1, 1, 1]
    assert len(seen) == len(voc.train)
    assert not any(a.shape == b.shape and torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])
