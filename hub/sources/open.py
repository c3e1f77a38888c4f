"""One door to photos, whatever holds them: a folder, a list, tar shards or a Hugging Face dataset."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..deep_pixels import Values
from .files import published_name
from .folders import TEST_NAMES, holds_image, open_folder, part_of, refuse_splits_as_classes, training_root
from .hugging_face import open_dataset
from .lists import LIST_SUFFIXES, open_list
from .remote_shards import address_name, find_remote_shards, is_address
from .shards import find_shards, open_shards
from .source import Data


def open_data(data: Path | str, *, values: Values | None = None) -> Data:
    """A folder, a list of files, tar shards, or a Hugging Face dataset.

    Args:
        data: a flat or labelled folder, or one with train/ and val/; a .txt, .tsv or .csv list; a .tar, a folder of
            them or a pattern such as shards/train-{000..146}.tar, also at an address such as s3://bucket/folder;
            hf:NAME or hf:FOLDER, optionally with :SPLIT.
        values: of photos of more than 8 bits, which are black and white; see `hub.deep_pixels`.

    Raises:
        DataError: nothing there, or not as its kind must be.
        MissingExtra: a Hugging Face dataset without its library.
    """
    opened = _open(data)
    if values is None:
        return opened
    train: Any = opened.train  # every source is a dataclass, which its Protocol cannot say
    test: Any = opened.test
    return Data(replace(train, values=values), None if test is None else replace(test, values=values))


def _open(data: Path | str) -> Data:
    if str(data).startswith("hf:"):
        return open_dataset(str(data).removeprefix("hf:"))
    if is_address(data):
        return Data(open_shards(find_remote_shards(str(data)), name=address_name(str(data))))
    path = Path(data)
    if path.is_file() and path.suffix.lower() in LIST_SUFFIXES:
        return Data(open_list(path))
    root = training_root(path)
    shards = find_shards(root)
    train = open_shards(shards, name=published_name(root)) if shards else refuse_splits_as_classes(open_folder(root))
    test_root = part_of(path, TEST_NAMES) if root != path else None
    if test_root is None or shards or not holds_image(test_root):
        return Data(train)
    test = open_folder(test_root)
    return Data(train, test if test.classes == train.classes and test.classes else None)
