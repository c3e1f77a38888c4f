"""Images that lie as files: below a folder, or named by a list. A large folder is gone through once and remembered."""

import csv
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..images import has_image_suffix, no_image
from . import listing_cache as index_cache
from .packed_names import Names

KEPT_FROM = 1000  # images; listing fewer takes no time
HEADERS = {"path", "file", "filename", "image"}


@dataclass(frozen=True, eq=False)
class Files:
    """Image files, named from `root` on."""

    name: str
    root: Path
    names: Names
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def path(self, position: int) -> Path:
        return self.root / self.names[position]

    def open(self, position: int) -> Path:
        return self.path(position)

    def place(self, position: int) -> str:
        return str(self.path(position))

    def describe(self) -> dict[str, Any]:
        """Name, counts, classes, and a digest over the relative names; no private path."""
        about = {"name": self.name, "images": len(self), "classes": list(self.classes)}
        return about | {"names_sha256": self.names.digest()}

    def content(self) -> str:
        return file_stamps(self.path(position) for position in range(len(self)))


def file_stamps(paths: Iterable[Path]) -> str:
    """A digest over where files lie, their sizes and when they were changed; a missing one counts as such."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            stat = path.stat()
            digest.update(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}\n".encode())
        except OSError:
            digest.update(f"{path} none\n".encode())
    return digest.hexdigest()


def open_folder(root: Path) -> Files:
    """The images below a folder in the order of their names; labelled when each lies in a class folder.

    The same images in the same order as `goodviews.hub.folders.image_folder` finds.

    Raises:
        DataError: the folder is missing or holds no image.
    """
    names = _names(root)
    slashes = [name.find("/") for name in names]
    if min(slashes) < 0:
        return Files(root.resolve().name, root, names, None, ())
    firsts = [name[:slash] for name, slash in zip(names, slashes)]
    return Files(root.resolve().name, root, names, *_numbered(firsts, sorted(set(firsts))))


def open_list(path: Path) -> Files:
    """The images that a list names, a line each, with or without a label.

    A .csv has the columns path and label, a header or none; a line of a .txt or .tsv is a path, then, after a tab or a
    blank, the label. Paths are relative to the list's folder.

    Raises:
        DataError: a line is no path, only some have labels, or the first file does not exist.
    """
    lines = _csv_lines(path) if path.suffix.lower() == ".csv" else _text_lines(path)
    if not lines:
        raise DataError(f"{path} names no image; write a path a line, with a label after it if there is one.")
    unlabelled = next((number for number, _, label in lines if label is None), None)
    labelled = next((number for number, _, label in lines if label is not None), None)
    if unlabelled is not None and labelled is not None:
        raise DataError(f"{path} has a label in line {labelled}, but none in line {unlabelled}; label all or none.")
    number, first, _ = lines[0]
    if not (path.parent / first).is_file():
        raise DataError(f"{path}, line {number}: {path.parent / first} is no file; paths start at the list's folder.")
    names = Names.of(name for _, name, _ in lines)
    if labelled is None:
        return Files(path.name, path.parent, names, None, ())
    labels = [str(label) for _, _, label in lines]
    by_number = all(label.isdecimal() for label in labels)
    return Files(path.name, path.parent, names, *_numbered(labels, sorted(set(labels), key=int if by_number else str)))


def _names(root: Path) -> Names:
    """From the cache if it is still true, else from the folder itself."""
    kept = index_cache.recall("folder", root)
    if kept is not None:
        return Names(kept["block"], kept["ends"])
    begun = index_cache.now()
    found, stamps = _listed(root)
    if not found:
        raise no_image(root)
    names = Names.of(sorted(found, key=lambda name: name.split("/")))
    if len(names) >= KEPT_FROM:
        index_cache.keep("folder", root, {"block": names.block, "ends": names.ends}, stamps, begun=begun)
    return names


def _listed(root: Path) -> tuple[list[str], dict[str, int]]:
    """Image names below a folder, unordered, and when each folder in it was last changed."""
    names, stamps, folders = [], {}, [""]
    while folders:
        folder = folders.pop()
        if not (root / folder).is_dir():
            raise no_image(root)
        stamps[folder] = (root / folder).stat().st_mtime_ns  # before it is read: what comes later shows next time
        with os.scandir(root / folder) as entries:
            for entry in entries:
                name = folder + entry.name
                if entry.is_dir(follow_symlinks=False):
                    folders.append(name + "/")
                elif has_image_suffix(entry.name) and entry.is_file():
                    names.append(name)
    return names, stamps


def _csv_lines(path: Path) -> list[tuple[int, str, str | None]]:
    lines: list[tuple[int, str, str | None]] = []
    reader = csv.reader(_text(path).splitlines())
    for row in reader:
        if not row or (not lines and row[0].strip().lower() in HEADERS):
            continue
        if len(row) > 2 or not has_image_suffix(Path(row[0]).name):
            raise DataError(
                f"{path}, line {reader.line_num}: {','.join(row)[:80]} is not a path, or a path and a label."
            )
        lines.append((reader.line_num, row[0], row[1] if len(row) == 2 else None))
    return lines


def _text_lines(path: Path) -> list[tuple[int, str, str | None]]:
    lines: list[tuple[int, str, str | None]] = []
    for number, text in enumerate(_text(path).splitlines(), start=1):
        line = text.strip()
        if not line:
            continue
        name, _, label = (line, "", None) if has_image_suffix(Path(line).name) else _last_split(line)
        if not has_image_suffix(Path(name).name):
            raise DataError(f"{path}, line {number}: {line[:80]} is not the path of an image, or a path and a label.")
        lines.append((number, name, label))
    return lines


def _last_split(line: str) -> tuple[str, str, str | None]:
    return line.rpartition("\t") if "\t" in line else line.rpartition(" ")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not a list of paths in UTF-8; save it as such.") from None


def _numbered(labels: Sequence[str], classes: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    position = {name: i for i, name in enumerate(classes)}
    return np.fromiter((position[label] for label in labels), np.int64, len(labels)), tuple(classes)
