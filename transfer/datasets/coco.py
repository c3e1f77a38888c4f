"""Reads photos with boxes and masks in COCO's format: `coco_layout` finds the files, `coco_labels` reads each.

Classes are the categories of the training labels, in the order of their ids, so any data in this format will do.
Torch-free.
"""

import logging
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ...hub.deep_pixels import Values
from ...hub.errors import DataError
from ...hub.sources.files import published_name
from ..data_check import DataCheck
from .check_photos import check_photos
from .coco_labels import CocoLabels, read_labels
from .coco_layout import find_coco
from .labelled_photos import (
    Box,
    DetectionData,
    LabelledPhoto,
    decoding_problems,
)

log = logging.getLogger(__name__)


def read_coco(
    folder: Path, *, needs_masks: bool = False, decode: bool = False, values: Values | None = None
) -> DetectionData:
    """Reads all photos, boxes and masks below `folder`, checked.

    Crowds, and the few objects without an extent in the published data, stay in: whoever trains or scores decides about
    them. Training boxes that leave their photo by a rounding end at its edge. Polygons without three corners are left
    out, and the log says how many; an object that has no other is not trained on, and in testing it lacks a mask.

    Args:
        folder: Holds the data, or a folder coco that does.
        needs_masks: Whether an object without a mask is a problem.
        decode: Decode each photo once too, so that no damaged one stops a long run.
        values: Of photos of more than 8 bits: which are black and white, see `hub.deep_pixels`.

    Raises:
        DataError: labels or photos are missing, damaged or contradict each other. The message gives the first problem;
            `read_with_problems` gives all.
        MissingExtra: there are masks as run lengths and faster-coco-eval is not installed.
    """
    data, problems = read_with_problems(folder, needs_masks=needs_masks)
    data = data.with_values(values) if data else None
    if data and decode:
        problems += decoding_problems((*data.train, *data.test))
    if problems or data is None:
        more = f" Problems beside this: {len(problems) - 1}; --check lists them." if problems[1:] else ""
        raise DataError(f"{problems[0]}{more}")
    for note in data.notes:
        log.warning("%s", note)
    return data


def check_coco(folder: Path, *, needs_masks: bool, values: Values | None = None) -> DataCheck:
    """Everything that is wrong with `folder`, damaged photos too, and what the reader leaves out.

    Args:
        values: of photos of more than 8 bits, which are black and white; see `hub.deep_pixels`.

    Raises:
        DataError: `folder` holds no labels in COCO's format.
    """
    data, problems = read_with_problems(folder, needs_masks=needs_masks)
    if data is None:
        return DataCheck("labels that cannot be used", tuple(problems))
    return check_photos(data.with_values(values), problems)


def read_with_problems(folder: Path, *, needs_masks: bool = False) -> tuple[DetectionData | None, list[str]]:
    """Reads what can be used, without decoding photos, and returns a sentence for everything that is wrong.

    None instead of data when a file of labels is of no use at all.

    Raises:
        DataError: `folder` holds no labels in COCO's format.
    """
    problems: list[str] = []
    train, test = (read_labels(split, problems) for split in find_coco(folder))
    if train is None or test is None:
        return None, problems
    train = replace(train, photos=tuple(map(_clip_boxes, train.photos)))
    test = replace(test, photos=tuple(map(_drop_empty_masks, test.photos)))
    problems += _missing_masks(train) + _missing_masks(test) if needs_masks else []
    problems += _problems_between(train, test)
    root = train.split.root
    data = DetectionData(
        name=published_name(root),
        root=root,
        layout="coco",
        classes=tuple(train.names.values()),
        train=train.photos,
        test=test.photos,
        train_splits=(train.split.name,),
        test_split=test.split.name,
        files=(train.split.labels, test.split.labels, *(photo.path for photo in (*train.photos, *test.photos))),
        category_ids=tuple(train.names),
        notes=(*_notes(train), *_notes(test)),
    )
    return data, problems


def _problems_between(train: CocoLabels, test: CocoLabels) -> Iterable[str]:
    """What is wrong with the splits taken together."""
    if not any(not thing.is_crowd and thing.mask != () for photo in train.photos for thing in photo.objects):
        yield f"No photo of {train.split.labels} has an object; nothing can be learned from it."
    if not any(not thing.is_crowd for photo in test.photos for thing in photo.objects):
        yield f"No photo of {test.split.labels} has an object that counts; nothing can be measured on it."
    for number, name in test.names.items():
        if train.names.get(number) != name:
            there = train.names.get(number, "nothing")
            known = ", ".join(list(train.names.values())[:20])
            yield (
                f"{test.split.labels} calls category {number} {name!r}, {train.split.labels.name} calls it {there!r} "
                f"(it has: {known}); both must have the same categories."
            )
    trained_on = {os.path.normpath(photo.path) for photo in train.photos}
    for photo in test.photos:
        if os.path.normpath(photo.path) in trained_on:
            names = f"{train.split.labels.name} and {test.split.labels.name}"
            yield f"{photo.path} is in both {names}; take it out of one."


def _missing_masks(part: CocoLabels) -> list[str]:
    without = [photo.id for photo in part.photos for thing in photo.objects if thing.mask is None]
    if not without:
        return []
    return [
        f"{part.split.labels} has no mask (segmentation) for {len(without)} of its objects, the first in image "
        f"{without[0]}, and the task learns masks: label them, or leave masks out with --set masks=false."
    ]


def _notes(part: CocoLabels) -> list[str]:
    if not part.short_polygons:
        return []
    note = f"Polygons without three corners are left out of {part.split.labels}: {part.short_polygons}."
    without = [photo.id for photo in part.photos for thing in photo.objects if thing.mask == ()]
    if without:
        note += f" Objects that have no other and are not trained on: {len(without)}, the first in image {without[0]}."
    return [note]


def _clip_boxes(photo: LabelledPhoto) -> LabelledPhoto:
    """Boxes end where the photo does."""
    return replace(photo, objects=tuple(replace(thing, box=_clip(thing.box, photo)) for thing in photo.objects))


def _drop_empty_masks(photo: LabelledPhoto) -> LabelledPhoto:
    """To be scored, an object whose polygons were all left out has no mask."""
    objects = (replace(thing, mask=None) if thing.mask == () else thing for thing in photo.objects)
    return replace(photo, objects=tuple(objects))


def _clip(box: Box, photo: LabelledPhoto) -> Box:
    xmin, ymin, xmax, ymax = box
    return max(xmin, 0.0), max(ymin, 0.0), min(xmax, float(photo.width)), min(ymax, float(photo.height))
