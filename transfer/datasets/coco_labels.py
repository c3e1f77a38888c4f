"""Reads one file of labels in COCO's format, with the photos that it lists. Torch-free."""

import json
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...hub.errors import DataError
from .coco_layout import Split
from .coco_objects import integer, is_listed, read_object, short_polygons
from .labelled_photos import LabelledObject, LabelledPhoto, size_problem

LONGEST_NAME = 255


@dataclass(frozen=True)
class CocoLabels:
    """The content of one file of labels."""

    split: Split
    names: dict[int, str]  # by category id, in the order of the ids
    photos: tuple[LabelledPhoto, ...]  # in the order of their ids
    short_polygons: int  # how many are left out


def read_labels(split: Split, problems: list[str]) -> CocoLabels | None:
    """Reads a file of labels; what cannot be used goes into `problems`. None when that is everything."""
    try:
        content = _load(split.labels)
        names = _names(content["categories"], split.labels)
        images = {integer(entry, "id", f"An image of {split.labels}"): entry for entry in content["images"]}
        folder = _photo_folder(split, content["images"])
    except DataError as error:
        problems.append(str(error))
        return None
    problems += _repeated_ids(content, split.labels)
    things = _by_image(content["annotations"], images, split, problems)
    photos = []
    for image, entry in sorted(images.items()):
        try:
            photo = _read_photo(image, entry, folder, split)
        except DataError as error:
            problems.append(str(error))
        else:
            photos.append(replace(photo, objects=_read_objects(things[image], photo, names, split, problems)))
    return CocoLabels(split, names, tuple(photos), sum(map(short_polygons, content["annotations"])))


def _load(labels: Path) -> dict[str, list[dict[str, Any]]]:
    """Reads the three lists: images, annotations, categories."""
    try:
        content = json.loads(labels.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{labels} is not readable as JSON ({str(error) or 'nested too deep'}).") from None
    except OSError as error:
        raise DataError(f"{labels} cannot be read ({error.strerror}).") from None
    for name in ("images", "annotations", "categories"):
        entries = content.get(name) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DataError(f"{labels} is not in COCO's format: it has no list of {name}.")
        if not entries and name != "annotations":
            raise DataError(f"{labels} has an empty list of {name}.")
    return content


def _repeated_ids(content: dict[str, list[dict[str, Any]]], labels: Path) -> list[str]:
    """A sentence for each id that several images, or several annotations, have."""
    return [
        f"{labels} gives the id {number} to {times} {kind}; give each its own."
        for kind in ("images", "annotations")
        for number, times in Counter(str(entry["id"]) for entry in content[kind] if "id" in entry).items()
        if times > 1
    ]


def _names(categories: list[dict[str, Any]], labels: Path) -> dict[int, str]:
    names = {integer(entry, "id", f"A category of {labels}"): _category(entry, labels) for entry in categories}
    for key in ("id", "name"):
        [(value, times)] = Counter(str(entry.get(key, "")) for entry in categories).most_common(1)
        if times > 1:
            raise DataError(f"{labels} has {times} categories of the {key} {value!r}; give each its own.")
    if "" in names.values():
        raise DataError(f"{labels} has a category without a name; give it one.")
    return dict(sorted(names.items()))


def _category(entry: dict[str, Any], labels: Path) -> str:
    name = entry.get("name", "")
    if not isinstance(name, str | int) or len(str(name)) > LONGEST_NAME:
        raise DataError(f"{labels} has a category whose name is {name!r:.60}; it must be a text.")
    return str(name)


def _photo_folder(split: Split, images: list[dict[str, Any]]) -> Path:
    """The folder that holds the photos, judging by the first few of them."""
    names = [str(entry.get("file_name", "")) for entry in images[:10]]
    folders = split.photo_folders()
    counts = [sum(_is_file(folder / name) for name in names if name) for folder in folders]
    if not max(counts):
        places = ", ".join(map(str, folders[:4]))
        first = names[0][:60] or "photos without file_name"
        raise DataError(f"{split.labels} names {first}, which is in none of {places}.")
    return folders[counts.index(max(counts))]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with characters that no name has
        return False


def _by_image(
    annotations: list[dict[str, Any]], images: dict[int, Any], split: Split, problems: list[str]
) -> dict[int, list[dict[str, Any]]]:
    things: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for entry in annotations:
        image = entry.get("image_id")
        if is_listed(image, images):
            things[image].append(entry)
        else:
            is_id = isinstance(image, int) and not isinstance(image, bool)
            reason = "which is not listed" if is_id else "which must be a whole number"
            problems.append(f"{_where(entry, split)} is of image {image!r:.60}, {reason}.")
    return things


def _read_photo(image: int, entry: dict[str, Any], folder: Path, split: Split) -> LabelledPhoto:
    where = f"Image {image} of {split.labels}"
    name = entry.get("file_name")
    if not isinstance(name, str) or not name or not _lies_below(folder / name, split.root):
        raise DataError(f"{where} has the file_name {name!r:.60}; it must be a path below {folder}.")
    width, height = integer(entry, "width", where), integer(entry, "height", where)
    if problem := size_problem(folder / name, (width, height), named_by=split.labels.name, sized_by=split.labels.name):
        raise DataError(problem)
    return LabelledPhoto(str(image), folder / name, width, height, ())


def _lies_below(path: Path, root: Path) -> bool:
    """Whether a path is one, and does not leave the data."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    is_name = "\0" not in str(path) and len(path.name) <= LONGEST_NAME
    return is_name and Path(os.path.normpath(path)).is_relative_to(os.path.normpath(root))


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
    return f"Annotation {entry.get('id')!s:.40} of {split.labels}"
