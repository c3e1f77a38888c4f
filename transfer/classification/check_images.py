"""The check of a folder of images in train and val: each image can be read, and none is in both parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

from ...hub.deep_pixels import Values
from ...hub.errors import DataError
from ..copies import copies_between, copies_within
from ..data_check import ClassCount, DataCheck, count_classes, doubts_about


def check_images(measure: Any, data: Path, values: Values | None = None) -> DataCheck:
    """For `Task.check`; all tasks on folders of images check the same.

    Args:
        values: of photos of more than 8 bits, which are black and white; see `hub.deep_pixels`.

    Raises:
        DataError: the folder has another layout.
    """
    from ...hub.sources.folders import train_and_test

    train, test = train_and_test(data)
    to_train, to_test = train.all_paths(), test.all_paths()
    in_train, in_test = Counter(train.labels), Counter(test.labels)
    classes = tuple(ClassCount(name, in_train[label], in_test[label]) for label, name in enumerate(train.classes))
    return DataCheck(
        f"{len(train)} training and {len(test)} test images of {count_classes(train.classes)}",
        (*_reading_problems([*to_train, *to_test], values), *copies_between(to_train, to_test)),
        classes=classes,
        doubts=(*doubts_about(classes), *copies_within(to_train, "training"), *copies_within(to_test, "test")),
    )


def _reading_problems(paths: Sequence[Path], values: Values | None) -> list[str]:
    with ThreadPoolExecutor() as pool:
        return [problem for problem in pool.map(_reading_problem, paths, repeat(values)) if problem]


def _reading_problem(path: Path, values: Values | None) -> str | None:
    from ...hub.images import read_image

    try:
        read_image(path, values=values)
    except DataError as error:
        return str(error)
    return None
