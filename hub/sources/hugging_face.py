"""Hugging Face datasets as a source: rows of an Arrow table, each reached by its number."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..deep_pixels import Values
from ..errors import DataError, MissingExtra
from .files import describe_range, published_name
from .folders import TEST_NAMES
from .source import Data


@dataclass(frozen=True, eq=False)
class HuggingFace:
    """The photos of one split; `table` is a `datasets.Dataset` whose one column holds them encoded."""

    name: str
    split: str
    table: Any
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    fingerprint: str
    values: Values | None = None

    def __len__(self) -> int:
        return len(self.table)

    def open(self, position: int) -> Path | BinaryIO:
        (photo,) = self.table[position].values()
        if photo is None or (photo["bytes"] is None and photo["path"] is None):
            raise DataError(f"{self.place(position)} holds no image.")
        return io.BytesIO(photo["bytes"]) if photo["bytes"] is not None else Path(photo["path"])

    def place(self, position: int) -> str:
        return f"hf:{self.name}:{self.split}, row {position}"

    def describe(self) -> dict[str, Any]:
        """Name, split, counts, classes and the library's own fingerprint of the table."""
        about = {"name": self.name, "images": len(self), "classes": list(self.classes), "split": self.split}
        return about | {"fingerprint": self.fingerprint} | describe_range(self.values)

    def content(self) -> str:
        return self.fingerprint


def open_dataset(words: str) -> Data:
    """NAME or FOLDER, and :SPLIT where it is not train; the photos are in the first column of images.

    Labels are the first column of named classes. Without a split given, a validation or test split with the same
    classes serves the online kNN.

    Raises:
        MissingExtra: the library is not installed.
        DataError: no such data, split or column.
    """
    name, splits, split = _load(words)
    train_split = split or ("train" if "train" in splits or len(splits) > 1 else next(iter(splits)))
    if train_split not in splits:
        raise DataError(f"hf:{name} has no split {train_split}; it has {', '.join(splits)}.")
    train = _source(name, train_split, splits[train_split])
    tests = [] if split else [other for other in splits if other in TEST_NAMES and other != train_split]
    test = _source(name, tests[0], splits[tests[0]]) if tests else None
    return Data(train, test if test is not None and test.labels is not None and test.classes == train.classes else None)


def _load(words: str) -> tuple[str, dict[str, Any], str | None]:
    """The data's name, its splits, and the split that was asked for."""
    try:
        import datasets
    except ImportError:
        raise MissingExtra("datasets", extra="data", needed_for=f"hf:{words}") from None
    head, _, tail = words.rpartition(":")
    place, split = (head, tail) if head and "/" not in tail else (words, None)
    folder = Path(place)
    try:
        if folder.is_dir() and ((folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()):
            loaded = datasets.load_from_disk(str(folder))
        else:
            loaded = datasets.load_dataset(place)
    except Exception as error:  # the library raises many kinds, for names, networks and files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"hf:{place} cannot be opened: {reason}") from error
    splits = dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {str(loaded.split or "train"): loaded}
    return published_name(folder) if folder.is_dir() else place, splits, split


def _source(name: str, split: str, table: Any) -> HuggingFace:
    import datasets

    kinds = dict(table.features)
    photos = [column for column, kind in kinds.items() if isinstance(kind, datasets.Image)]
    if not photos:
        raise DataError(f"hf:{name}:{split} has no column of images; its columns are {', '.join(kinds)}.")
    named = [column for column, kind in kinds.items() if isinstance(kind, datasets.ClassLabel)]
    labels = np.asarray(table.select_columns(named[:1]).with_format("arrow")[:][named[0]], np.int64) if named else None
    classes = tuple(kinds[named[0]].names) if named else ()
    encoded = table.select_columns(photos[:1]).cast_column(photos[0], datasets.Image(decode=False))
    return HuggingFace(name, split, encoded, labels, classes, str(table._fingerprint))
