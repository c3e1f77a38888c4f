"""What is wrong with a data folder, found before anything is trained on it: `goodviews transfer TASK --check`."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..hub.errors import DataError

if TYPE_CHECKING:
    from .datasets.labelled_photos import DetectionData


@dataclass(frozen=True)
class DataCheck:
    """What a folder holds, in words, and a sentence for everything that is wrong with it or left out of it."""

    found: str
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()  # nothing that hinders a training


def images_check(measure: Any, data: Path) -> DataCheck:
    """Of a folder of images in train and val: every image can be read, and none is in both.

    Raises:
        DataError: the folder is not laid out so.
    """
    from ..hub.folders import train_and_test

    train, test = train_and_test(data)
    found = f"{len(train.paths)} training and {len(test.paths)} test images of {_classes(train.classes)}"
    problems = _unreadable([*train.paths, *test.paths])
    return DataCheck(found, (*problems, *_in_both(train.paths, test.paths)))


def voc_check(measure: Any, data: Path) -> DataCheck:
    """Of photos with boxes in the layout of the VOC devkit.

    Raises:
        DataError: the folder is not laid out so.
    """
    from .datasets.voc import read_with_problems

    found, problems = read_with_problems(data)
    return DataCheck(_counts(found), (*problems, *_damaged(found)))


def coco_check(measure: Any, data: Path) -> DataCheck:
    """Of photos with boxes, and masks where the task learns them, in COCO's format.

    Raises:
        DataError: the folder holds no labels in that format.
    """
    from .datasets.coco import read_with_problems

    found, problems = read_with_problems(data, needs_masks=measure.masks)
    if found is None:
        return DataCheck("labels that cannot be used", tuple(problems))
    return DataCheck(_counts(found), (*problems, *_damaged(found)), found.notes)


def voc_labels_check(data: Path, *, train: Sequence[str], test: str) -> DataCheck:
    """Of the splits of VOC2007 that classification reads.

    Raises:
        DataError: the folder is not in the VOC layout.
    """
    from .classification.voc07_labels import read_labels
    from .datasets.labelled_photos import decoding_problems
    from .datasets.voc import read_split_with_problems

    photos, problems = [], []
    for split in (*train, test):
        read, wrong = read_split_with_problems(data, split)
        photos += read
        problems += wrong
    found = f"{len(photos)} photos in the splits {', '.join((*train, test))} of VOC2007"
    if not problems:
        try:
            read_labels(data, train=train, test=test)
        except DataError as error:
            problems.append(str(error))
    return DataCheck(found, (*problems, *decoding_problems(photos)))


def _counts(data: DetectionData) -> str:
    counts = [
        f"{len(photos)} {kind} photos with {sum(len(photo.objects) for photo in photos)} objects"
        for kind, photos in (("training", data.train), ("test", data.test))
    ]
    return f"{' and '.join(counts)} of {_classes(data.classes)}"


def _classes(classes: Sequence[str]) -> str:
    return f"{len(classes)} classes" if len(classes) > 1 else "one class"


def _damaged(data: DetectionData) -> list[str]:
    from .datasets.labelled_photos import decoding_problems

    return decoding_problems((*data.train, *data.test))


def _unreadable(paths: Sequence[Path]) -> list[str]:
    with ThreadPoolExecutor() as pool:
        return [problem for problem in pool.map(_reading_problem, paths) if problem]


def _reading_problem(path: Path) -> str | None:
    from ..hub.images import read_image

    try:
        read_image(path)
    except DataError as error:
        return str(error)
    return None


def _in_both(train: Sequence[Path], test: Sequence[Path]) -> list[str]:
    """Test images whose file is a training image's too; only files of equal size are read."""
    sizes: dict[int, list[Path]] = defaultdict(list)
    for path in train:
        sizes[path.stat().st_size].append(path)
    problems = []
    for path in test:
        same = [other for other in sizes[path.stat().st_size] if _digest(other) == _digest(path)]
        if same:
            problems.append(f"{path} is the training image {same[0]} too; take it out of one of the two parts.")
    return problems


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
