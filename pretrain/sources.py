"""Where images come from, whatever holds them: a source is a row of photos, each reached by its position.

A position always means the same photo, so the order of an epoch, and all that is drawn for a photo, need nothing else;
a run that stopped in mid-epoch goes on exactly, from tar shards too.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..hub.folders import TEST_NAMES, part_of, training_root
from ..hub.images import opened, to_rgb


class Source(Protocol):
    """Photos, and their labels (positions in `classes`) where they are known. Travels to loader workers by pickle."""

    @property
    def name(self) -> str:
        """What may be published: the last part of where the data lies."""
        ...

    @property
    def labels(self) -> NDArray[np.int64] | None: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def open(self, position: int) -> Path | BinaryIO:
        """A photo's file, or its bytes.

        Raises:
            DataError: it cannot be reached.
        """
        ...

    def place(self, position: int) -> str:
        """Where a photo lies, for people."""
        ...

    def describe(self) -> dict[str, Any]:
        """For recipe.json and config.json: name, counts, and a digest that tells this order of photos from another."""
        ...

    def content(self) -> str:
        """Changes when a photo's bytes may have changed; never published. Takes a look at every file."""
        ...


@dataclass(frozen=True)
class Data:
    """What to learn from, and what the online kNN may test on, where the data says so; `test` has train's classes."""

    train: Source
    test: Source | None = None


def open_data(data: Path | str) -> Data:
    """A folder, a list of files, tar shards, or a Hugging Face dataset.

    Args:
        data: a flat or labelled folder, or one with train/ and val/; a .txt, .tsv or .csv list; a .tar, a folder of
            them or a pattern such as shards/train-{000..146}.tar; hf:NAME or hf:FOLDER, with :SPLIT at will.

    Raises:
        DataError: nothing there, or not as its kind must be.
        MissingExtra: a Hugging Face dataset without its library.
    """
    from .files import open_folder, open_list
    from .shards import find_shards, open_shards

    if str(data).startswith("hf:"):
        from .hugging_face import open_dataset

        return open_dataset(str(data).removeprefix("hf:"))
    path = Path(data)
    if path.is_file() and path.suffix.lower() in {".txt", ".tsv", ".csv"}:
        return Data(open_list(path))
    root = training_root(path)
    shards = find_shards(root)
    train = open_shards(shards, name=root.resolve().name) if shards else open_folder(root)
    test_root = part_of(path, TEST_NAMES) if root != path else None
    if test_root is None or shards:
        return Data(train)
    test = open_folder(test_root)
    return Data(train, test if test.classes == train.classes and test.classes else None)


def read_photo(source: Source, position: int) -> Image.Image:
    """A photo as RGB, 8 bits a channel, upright.

    Raises:
        DataError: it cannot be read.
    """
    with opened(source.open(position), name=source.place(position)) as image:
        image.load()
        return to_rgb(image)
