"""Reads photos with boxes and masks in COCO's format; `coco_layout.py` finds the files.

Classes are the categories of the training labels, in the order of their ids, so any data in this format will do.
Torch-free.
"""

import json
import logging
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...hub.errors import DataError
from ..data_check import DataCheck
from .coco_layout import Split, find_coco
from .coco_objects import integer, is_listed, read_object, short_polygons
from .labelled_photos import (
    Box,
    DetectionData,
    LabelledObject,
    LabelledPhoto,
    check_photos,
    decoding_problems,
    size_problem,
)

log = logging.getLogger(__name__)


def read_coco(folder: Path, *, needs_masks: bool = False, decode: bool = False) -> DetectionData:
    """Reads all photos, boxes and masks below `folder`, checked.

    Crowds, and the few objects without an extent in the published data, stay in: whoever trains or scores decides about
    them. Training boxes that leave their photo by a rounding end at its edge. Polygons without three corners are left
    out, and the log says how many; an object that has no other is not trained on, and in testing it lacks a mask.

    Args:
        folder: Holds the data, or a folder coco that does.
        needs_masks: Whether an object without a mask is a problem.
        decode: Decode each photo once too, so that no damaged one stops a long run.

    Raises:
        DataError: labels or photos are missing, damaged or contradict each other. The message gives the first problem;
            `read_with_problems` gives all.
        MissingExtra: there are masks as run lengths and faster-coco-eval is not installed.
    """
    data, problems = read_with_problems(folder, needs_masks=needs_masks)
    if data and decode:
        problems += decoding_problems((*data.train, *data.test))
    if problems or data is None:
        more = f" Problems beside this: {len(problems) - 1}; --check lists them." if problems[1:] else ""
        raise DataError(f"{problems[0]}{more}")
    for note in data.notes:
        log.warning("%s", note)
    return data


def check_coco(folder: Path, *, needs_masks: bool) -> DataCheck:
    """Everything that is wrong with `folder`, damaged photos too, and what the reader leaves out.

    Raises:
        DataError: `folder` holds no labels in COCO's format.
    """
    data, problems = read_with_problems(folder, needs_masks=needs_masks)
    return check_photos(data, problems) if data else DataCheck("labels that cannot be used", tuple(problems))


def read_with_problems(folder: Path, *, needs_masks: bool = False) -> tuple[DetectionData | None, list[str]]:
    """Reads what can be used, without decoding photos, and returns a sentence for everything that is wrong.

    None instead of data when a file of labels is of no use at all.

    Raises:
        DataError: `folder` holds no labels in COCO's format.
    """
    problems: list[str] = []
    train, test = (_read_part(split, problems) for split in find_coco(folder))
    if train is None or test is None:
        return None, problems
    train = replace(train, photos=tuple(map(_clip_boxes, train.photos)))
    test = replace(test, photos=tuple(map(_drop_empty_masks, test.photos)))
    problems += _missing_masks(train) + _missing_masks(test) if needs_masks else []
    problems += _problems_between(train, test)
    root = train.split.root
    data = DetectionData(
        name=root.resolve().name,
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


@dataclass(frozen=True)
class _Part:
    """The content of one file of labels."""

    split: Split
    names: dict[int, str]  # by category id, in the order of the ids
    photos: tuple[LabelledPhoto, ...]  # in the order of their ids
    short_polygons: int  # how many are left out


def _problems_between(train: _Part, test: _Part) -> Iterable[str]:
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


def _missing_masks(part: _Part) -> list[str]:
    without = [photo.id for photo in part.photos for thing in photo.objects if thing.mask is None]
    if not without:
        return []
    return [
        f"{part.split.labels} has no mask (segmentation) for {len(without)} of its objects, the first in image "
        f"{without[0]}, and the task learns masks: label them, or leave masks out with --set masks=false."
    ]


def _notes(part: _Part) -> list[str]:
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


def _read_part(split: Split, problems: list[str]) -> _Part | None:
    """Reads a file of labels; what cannot be used goes into `problems`. None when that is everything."""
    try:
        content = _load(split.labels)
        names = _names(content["categories"], split.labels)
        images = {integer(entry, "id", f"An image of {split.labels}"): entry for entry in content["images"]}
        folder = _photo_folder(split, content["images"])
    except DataError as error:
        problems.append(str(error))
        return None
    if len(images) < len(content["images"]):
        problems.append(f"{split.labels} gives the same id to several images.")
    things = _by_image(content["annotations"], images, split, problems)
    photos = []
    for image, entry in sorted(images.items()):
        try:
            photo = _read_photo(image, entry, folder, split)
        except DataError as error:
            problems.append(str(error))
        else:
            photos.append(replace(photo, objects=_read_objects(things[image], photo, names, split, problems)))
    return _Part(split, names, tuple(photos), sum(map(short_polygons, content["annotations"])))


def _load(labels: Path) -> dict[str, list[dict[str, Any]]]:
    """Reads the three lists: images, annotations, categories."""
    try:
        content = json.loads(labels.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{labels} is not readable as JSON ({error}).") from None
    for name in ("images", "annotations", "categories"):
        entries = content.get(name) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DataError(f"{labels} is not in COCO's format: it has no list of {name}.")
        if not entries and name != "annotations":
            raise DataError(f"{labels} has an empty list of {name}.")
    return content


def _names(categories: list[dict[str, Any]], labels: Path) -> dict[int, str]:
    names = {integer(entry, "id", f"A category of {labels}"): str(entry.get("name", "")) for entry in categories}
    if len(set(names.values())) < len(categories) or "" in names.values():
        raise DataError(f"{labels} has categories that share an id or a name, or have none; give each its own.")
    return dict(sorted(names.items()))


def _photo_folder(split: Split, images: list[dict[str, Any]]) -> Path:
    """The folder that holds the photos, judging by the first few of them."""
    names = [str(entry.get("file_name", "")) for entry in images[:10]]
    folders = split.photo_folders()
    counts = [sum((folder / name).is_file() for name in names if name) for folder in folders]
    if not max(counts):
        places = ", ".join(map(str, folders[:4]))
        raise DataError(f"{split.labels} names {names[0] or 'photos without file_name'}, which is in none of {places}.")
    return folders[counts.index(max(counts))]


def _by_image(
    annotations: list[dict[str, Any]], images: dict[int, Any], split: Split, problems: list[str]
) -> dict[int, list[dict[str, Any]]]:
    things: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for entry in annotations:
        image = entry.get("image_id")
        if is_listed(image, images):
            things[image].append(entry)
        else:
            problems.append(f"{_where(entry, split)} is of image {image}, which is not listed.")
    return things


def _read_photo(image: int, entry: dict[str, Any], folder: Path, split: Split) -> LabelledPhoto:
    where = f"Image {image} of {split.labels}"
    name = entry.get("file_name")
    if not isinstance(name, str) or not name or Path(name).is_absolute():
        raise DataError(f"{where} has the file_name {name!r}; it must be a path below {folder}.")
    width, height = integer(entry, "width", where), integer(entry, "height", where)
    if problem := size_problem(folder / name, (width, height), named_by=split.labels.name, sized_by=split.labels.name):
        raise DataError(problem)
    return LabelledPhoto(str(image), folder / name, width, height, ())


def _read_objects(
    entries: list[dict[str, Any]], photo: LabelledPhoto, names: dict[int, str], split: Split, problems: list[str]
) -> tuple[LabelledObject, ...]:
    objects = []
    for entry in entries:
        where = _where(entry, split)
        try:
            objects.append(read_object(entry, photo, names, where))
        except DataError as error:
            problems.append(str(error))
    return tuple(objects)


def _where(entry: dict[str, Any], split: Split) -> str:
    return f"Annotation {entry.get('id')} of {split.labels}"
