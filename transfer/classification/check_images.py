"""The check of a folder of images in train and val: each image can be read, and none is in both parts."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ...hub.errors import DataError
from ..data_check import DataCheck, count_classes


def check_images(measure: Any, data: Path) -> DataCheck:
    """For `Task.check`; all tasks on folders of images check the same.

    Raises:
        DataError: the folder has another layout.
    """
    from ...hub.sources.folders import train_and_test

    train, test = train_and_test(data)
    summary = f"{len(train)} training and {len(test)} test images of {count_classes(train.classes)}"
    unreadable = _reading_problems([*train.paths, *test.paths])
    return DataCheck(summary, (*unreadable, *_images_in_both(train.paths, test.paths)))


def _reading_problems(paths: Sequence[Path]) -> list[str]:
    with ThreadPoolExecutor() as pool:
        return [problem for problem in pool.map(_reading_problem, paths) if problem]


def _reading_problem(path: Path) -> str | None:
    from ...hub.images import read_image

    try:
        read_image(path)
    except DataError as error:
        return str(error)
    return None


def _images_in_both(train: Sequence[Path], test: Sequence[Path]) -> Iterator[str]:
    """Test images whose file is also a training image's; only files of equal size are read."""
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in train:
        by_size[path.stat().st_size].append(path)
    for path in test:
        same = [other for other in by_size[path.stat().st_size] if _digest(other) == _digest(path)]
        if same:
            yield f"{path} is the training image {same[0]} too; take it out of one of the two parts."


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
