"""VOC photos as an image classifier sees them: which classes each shows, and which only in objects marked difficult."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...hub.deep_pixels import Values
from ...hub.errors import DataError
from ..copies import copies_between, note_copies
from ..data_check import ClassCount, DataCheck, doubts_about
from ..data_digest import digest_of
from ..datasets.labelled_photos import LabelledPhoto, decoding_problems
from ..datasets.voc import files_of, find_devkit, name_of, read_split, read_split_with_problems

LAYOUT = "DIR/VOC2007: Annotations, JPEGImages, ImageSets/Main/{train,val,test}.txt"


@dataclass(frozen=True)
class LabelledPhotos:
    """The photos of a split, N of them, and which of C classes each shows."""

    paths: tuple[Path, ...]
    present: np.ndarray  # (N, C) bool: an object of the class that is not difficult
    difficult: np.ndarray  # (N, C) bool: only difficult ones; VOC's lists write 0

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True)
class VocLabels:
    """VOC2007 for classification."""

    classes: tuple[str, ...]  # of all splits, in alphabetical order
    splits: dict[str, LabelledPhotos]
    dataset: dict[str, Any]
    copies: dict[str, int]  # for Report.details, see `note_copies`


def read_labels(folder: Path, *, train: Sequence[str], test: str) -> VocLabels:
    """The labels of VOC2007's splits `train` and `test`, from the annotations.

    Raises:
        DataError: as `read_split`; a photo is in two splits; or the first split of `train` lacks a class of `test`.
    """
    names = (*train, test)
    photos = {name: read_split(folder, name) for name in names}
    everyone = [photo for name in names for photo in photos[name]]
    classes = tuple(sorted({thing.name for photo in everyone for thing in photo.objects}))
    splits = {name: _label(photos[name], classes) for name in names}
    _check(photos, splits, classes, train[0], test)
    root = find_devkit(folder)
    counts = {f"{name}_images": len(splits[name]) for name in names}
    source = {"name": name_of(root), "digest": digest_of(root, files_of(everyone))}
    learned = [photo.path for name in train for photo in photos[name]]
    copies = note_copies(learned, [photo.path for photo in photos[test]])
    dataset = {**source, "classes": len(classes), **counts, "class_names": list(classes)}
    return VocLabels(classes, splits, dataset, copies)


def check_labels(data: Path, *, train: Sequence[str], test: str, values: Values | None = None) -> DataCheck:
    """For `Task.check`: every problem of the splits that `read_labels` reads.

    Args:
        values: of photos of more than 8 bits, which are black and white; see `hub.deep_pixels`.

    Raises:
        DataError: the folder is not in the VOC layout.
    """
    splits = (*train, test)
    parts = [read_split_with_problems(data, split) for split in splits]
    photos = [photo for part, _ in parts for photo in part]
    problems = [problem for _, of_part in parts for problem in of_part]
    if not problems:
        try:
            read_labels(data, train=train, test=test)
        except DataError as error:
            problems.append(str(error))
    learned = [photo for part, _ in parts[:-1] for photo in part]
    tested = parts[-1][0]
    copies = copies_between([photo.path for photo in learned], [photo.path for photo in tested])
    classes = _count_photos(learned, tested)
    summary = f"{len(photos) or 'no'} photos in the splits {', '.join(splits)} of VOC2007"
    problems = [*problems, *decoding_problems([photo.path for photo in photos], values), *copies]
    return DataCheck(summary, tuple(problems), classes=classes, doubts=tuple(doubts_about(classes)))


def _count_photos(train: Sequence[LabelledPhoto], test: Sequence[LabelledPhoto]) -> tuple[ClassCount, ...]:
    """How many photos show each class."""
    shown = [[name for one in part for name in {thing.name for thing in one.objects}] for part in (train, test)]
    learned, tested = Counter(shown[0]), Counter(shown[1])
    return tuple(ClassCount(name, learned[name], tested[name]) for name in sorted({*learned, *tested}))


def _label(photos: Sequence[LabelledPhoto], classes: Sequence[str]) -> LabelledPhotos:
    number = {name: place for place, name in enumerate(classes)}
    present = np.zeros((len(photos), len(classes)), bool)
    in_annotation = np.zeros_like(present)
    for row, photo in enumerate(photos):
        for thing in photo.objects:
            in_annotation[row, number[thing.name]] = True
            present[row, number[thing.name]] |= not thing.is_difficult
    return LabelledPhotos(tuple(photo.path for photo in photos), present, in_annotation & ~present)


def _check(
    photos: dict[str, tuple[LabelledPhoto, ...]],
    splits: dict[str, LabelledPhotos],
    classes: Sequence[str],
    train: str,
    test: str,
) -> None:
    split_of: dict[str, str] = {}
    for name, members in photos.items():
        for photo in members:
            if split_of.setdefault(photo.id, name) != name:
                lists = photo.path.parent.parent / "ImageSets" / "Main"
                both = f"{split_of[photo.id]}.txt and {name}.txt of {lists}"
                raise DataError(f"{photo.id} is in both {both}; take it out of one.")
    unknown = splits[test].present.any(axis=0) & ~splits[train].present.any(axis=0)
    if unknown.any():
        name = classes[int(unknown.argmax())]
        raise DataError(f"The {test} split shows the class {name!r}, which no photo of the {train} split has.")
    if not splits[test].present.any():
        raise DataError(f"No photo of the {test} split shows an object that counts; nothing can be measured.")
