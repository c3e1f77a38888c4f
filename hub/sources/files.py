"""Images that lie as files, wherever their names come from: a folder or a list."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..deep_pixels import Values
from ..output.printing import shown
from .packed_names import Names


@dataclass(frozen=True, eq=False)
class Files:
    """Image files, named from `root` on.

    name: what may be published, the last part of where they lie.
    labels: (N,), positions in `classes`; None where there are none.
    """

    name: str
    root: Path
    names: Names
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    values: Values | None = None

    def __len__(self) -> int:
        return len(self.names)

    def all_paths(self) -> tuple[Path, ...]:
        """All of them, made anew at each call: a million names take little memory, a million paths much."""
        return tuple(self.root / name for name in self.names)

    def part(self, positions: Sequence[int]) -> "Files":
        """Some of the files, with the same classes."""
        labels = None if self.labels is None else self.labels[list(positions)]
        return replace(self, names=Names.of(self.names[position] for position in positions), labels=labels)

    def path(self, position: int) -> Path:
        return self.root / self.names[position]

    def open(self, position: int) -> Path:
        return self.path(position)

    def place(self, position: int) -> str:
        return str(self.path(position))

    def describe(self) -> dict[str, Any]:
        """Name, counts, classes, and a digest over the relative names; no private path."""
        about = {"name": self.name, "images": len(self), "classes": list(self.classes)}
        return about | {"names_sha256": self.names.digest()} | describe_range(self.values)

    def content(self) -> str:
        return file_stamps(self.path(position) for position in range(len(self)))


def published_name(place: Path) -> str:
    """The last part of where data lie, as it may be printed and published."""
    return shown(place.resolve().name)


def describe_range(values: Values | None) -> dict[str, list[float]]:
    """What a source's description says of a declared range; nothing where there is none."""
    return {} if values is None else {"values": list(values)}


def file_stamps(paths: Iterable[Path]) -> str:
    """A digest over where files lie, their sizes and when they were changed; a missing one counts as such."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            stat = path.stat()
            digest.update(os.fsencode(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}\n"))
        except (OSError, RuntimeError):  # the latter for a link to itself
            digest.update(os.fsencode(f"{path} none\n"))
    return digest.hexdigest()


def number_labels(labels: Sequence[str], classes: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The labels as positions in `classes`, and the classes."""
    position = {name: i for i, name in enumerate(classes)}
    return np.fromiter((position[label] for label in labels), np.int64, len(labels)), tuple(classes)
