"""Reads photos with boxes and masks in COCO's format: `coco_layout` finds the files, `coco_labels` reads each.

Classes are the categories of the training labels, in the order of their ids, so any data in this format will do.
Torch-free.
"""

import logging
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ...hub.deep_pixels import Values
from ...hub.errors import DataError
from ...hub.sources.files import published_name
from ..data_check import DataCheck
from .check_photos import check_photos
from .coco_labels import CocoLabels, read_labels
from .coco_layout import find_coco
from .detection_data import DetectionData
from .labelled_photos import decoding_problems
from .photo_table import NO_MASK

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
        problems += decoding_problems(data.photo_files, data.train.values)
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
    train_split, test_split = find_coco(folder)
    train = read_labels(train_split, problems, is_trained_on=True)
    test = read_labels(test_split, problems, is_trained_on=False)
    if train is None or test is None:
        return None, problems
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
        label_files=(train.split.labels, test.split.labels),
        category_ids=tuple(train.names),
        notes=(*_notes(train), *_notes(test)),
    )
    return data, problems


def _problems_between(train: CocoLabels, test: CocoLabels) -> Iterable[str]:
    """What is wrong with the splits taken together."""
    if not (~train.photos.is_crowd & ~train.photos.is_mask_empty).any():
        yield f"No photo of {train.split.labels} has an object; nothing can be learned from it."
    if test.photos.is_crowd.all():
        yield f"No photo of {test.split.labels} has an object that counts; nothing can be measured on it."
    for number, name in test.names.items():
        if train.names.get(number) != name:
            there = train.names.get(number, "nothing")
            known = ", ".join(list(train.names.values())[:20])
            yield (
                f"{test.split.labels} calls category {number} {name!r}, {train.split.labels.name} calls it {there!r} "
                f"(it has: {known}); both must have the same categories."
            )
    trained_on = {os.path.normpath(path) for path in train.photos.paths()}
    for path in test.photos.paths():
        if os.path.normpath(path) in trained_on:
            names = f"{train.split.labels.name} and {test.split.labels.name}"
            yield f"{path} is in both {names}; take it out of one."


def _missing_masks(part: CocoLabels) -> list[str]:
    without = np.flatnonzero(part.photos.mask_kinds == NO_MASK)
    if not len(without):
        return []
    return [
        f"{part.split.labels} has no mask (segmentation) for {len(without)} of its objects, the first in image "
        f"{part.photos.photo_of(without[0]).id}, and the task learns masks: label them, or leave masks out with "
        "--set masks=false."
    ]


def _notes(part: CocoLabels) -> list[str]:
    if not part.short_polygons:
        return []
    note = f"Polygons without three corners are left out of {part.split.labels}: {part.short_polygons}."
    without = np.flatnonzero(part.photos.is_mask_empty)
    if len(without):
        first = part.photos.photo_of(without[0]).id
        note += f" Objects that have no other and are not trained on: {len(without)}, the first in image {first}."
    return [note]
