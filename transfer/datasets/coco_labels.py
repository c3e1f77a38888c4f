"""Reads one file of labels in COCO's format, with the photos that it lists. Torch-free."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...hub.errors import DataError
from .coco_columns import clip_boxes, drop_empty_masks, place_objects
from .coco_file import CocoFile, read_file
from .coco_layout import Split
from .coco_objects import integer
from .labelled_photos import LabelledPhoto, size_problem
from .photo_table import PhotoTable

LONGEST_NAME = 255


@dataclass(frozen=True)
class CocoLabels:
    """The content of one file of labels."""

    split: Split
    names: dict[int, str]  # by category id, in the order of the ids
    photos: PhotoTable  # in the order of their ids
    short_polygons: int  # how many are left out


def read_labels(split: Split, problems: list[str], *, is_trained_on: bool) -> CocoLabels | None:
    """Reads a file of labels; what cannot be used goes into `problems`. None when that is everything.

    Boxes to train on end where their photo does. To be scored, an object whose polygons were all left out has no mask.
    """
    try:
        content = read_file(split.labels)
        names = _names(content.categories, split.labels)
        images = {integer(entry, "id", f"An image of {split.labels}"): entry for entry in content.images}
        folder = _photo_folder(split, content.images)
    except DataError as error:
        problems.append(str(error))
        return None
    problems += _repeated_ids(content, split.labels)
    photos, by_photo = _read_photos(images, folder, split)
    rows, places = place_objects(content.annotations, sorted(images), photos, names, str(split.labels), by_photo)
    problems += [problem for place in sorted(by_photo) for problem in by_photo[place]]
    columns = content.annotations.columns
    if is_trained_on:
        clip_boxes(
            columns, rows, np.array([(photo.width, photo.height) if photo else (0, 0) for photo in photos])[places]
        )
    else:
        drop_empty_masks(columns)
    for photo in filter(None, photos):
        columns.add_photo(photo)
    counts = np.bincount(places, minlength=len(photos))[[photo is not None for photo in photos]]
    table = columns.table(tuple(names.values()), counts, rows[np.argsort(places, kind="stable")])
    return CocoLabels(split, names, table, content.annotations.short_polygons)


def _repeated_ids(content: CocoFile, labels: Path) -> list[str]:
    """A sentence for each id that several images, or several annotations, have."""
    images = Counter(str(entry["id"]) for entry in content.images if "id" in entry).items()
    repeated = {"images": images, "annotations": content.annotations.repeated_ids()}
    return [
        f"{labels} gives the id {number} to {times} {kind}; give each its own."
        for kind, ids in repeated.items()
        for number, times in ids
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


def _read_photos(
    images: dict[int, dict[str, Any]], folder: Path, split: Split
) -> tuple[list[LabelledPhoto | None], dict[int, list[str]]]:
    """The photos in the order of their ids, None for those that cannot be used, and by place what is wrong there."""
    photos: list[LabelledPhoto | None] = []
    problems: dict[int, list[str]] = {}
    for place, (image, entry) in enumerate(sorted(images.items())):
        try:
            photos.append(_read_photo(image, entry, folder, split))
        except DataError as error:
            photos.append(None)
            problems[place] = [str(error)]
    return photos, problems


def _read_photo(image: int, entry: dict[str, Any], folder: Path, split: Split) -> LabelledPhoto:
    where = f"Image {image} of {split.labels}"
    name = entry.get("file_name")
    if not isinstance(name, str) or not name or not _lies_below(os.path.join(folder, name), split.root):  # noqa: PTH118
        raise DataError(f"{where} has the file_name {name!r:.60}; it must be a path below {folder}.")
    width, height = integer(entry, "width", where), integer(entry, "height", where)
    if problem := size_problem(folder / name, (width, height), named_by=split.labels.name, sized_by=split.labels.name):
        raise DataError(problem)
    return LabelledPhoto(str(image), folder / name, width, height, ())


def _lies_below(path: str, root: Path) -> bool:
    """Whether a path is one, and does not leave the data. Of texts: there are a hundred thousand."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    if "\0" in path:
        return False
    whole, top = os.path.abspath(path), os.path.join(os.path.abspath(root), "")  # noqa: PTH100, PTH118
    return whole.startswith(top) and len(whole) - whole.rfind(os.sep) - 1 <= LONGEST_NAME
