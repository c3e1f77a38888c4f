"""Millions of names in little memory: one block of bytes that loader workers share instead of copying."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Names:
    """A row of strings, UTF-8, a line feed after each but the last.

    Args:
        block: (bytes,), uint8.
        ends: (N,), int64, where each string ends in `block`.
    """

    block: NDArray[np.uint8]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, names: Iterable[str]) -> "Names":
        coded = [os.fsencode(name) for name in names]
        lengths = np.fromiter((len(name) + 1 for name in coded), np.int64, len(coded))
        return cls(np.frombuffer(b"\n".join(coded), np.uint8), lengths.cumsum() - 1)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, position: int) -> str:
        position = range(len(self))[position]
        first = int(self.ends[position - 1]) + 1 if position else 0
        return os.fsdecode(self.block[first : int(self.ends[position])].tobytes())

    def __iter__(self) -> Iterator[str]:
        return (self[position] for position in range(len(self)))

    def digest(self) -> str:
        """SHA-256 of all names in their order."""
        return hashlib.sha256(self.block.tobytes()).hexdigest()
