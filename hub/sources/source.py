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

from ..deep_pixels import Values
from ..images import decoded, opened


class Source(Protocol):
    """Photos, and their labels (positions in `classes`) where they are known. Travels to loader workers by pickle."""

    @property
    def name(self) -> str:
        """What may be published: the last part of where the data lies."""
        ...

    @property
    def values(self) -> Values | None:
        """Of photos of more than 8 bits: which values are black and white, where that was declared."""
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


def read_photo(source: Source, position: int) -> Image.Image:
    """A photo as RGB, 8 bits a channel, upright.

    Raises:
        DataError: it cannot be read.
    """
    place = source.place(position)
    with opened(source.open(position), name=place) as image:
        return decoded(image, values=source.values, name=place)
