"""Vectors in files that are written once: vectors-000001.npy (N, F) float32 and ids-000001.npy (N,) int64.

A row is a position in all files of an index, in the order of their first rows. Files are mapped, not read: opening
takes no time and processes share them. Nothing in a file is ever changed; a change of the index adds a file, and the
database says which files count.
"""

import mmap
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...hub.errors import ArtifactError

BLOCK_BYTES = 1 << 26


@dataclass(frozen=True)
class Segment:
    """The rows of one pair of files.

    Attributes:
        first_row: of them.
        vectors: (N, F) float32.
        ids: (N,) int64, of the photos they are of, or were.
    """

    first_row: int
    vectors: np.ndarray
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def end(self) -> int:
        """The row after its last."""
        return self.first_row + len(self)


class SegmentWriter:
    """Vectors into a new pair of files, batch by batch; `close` makes them whole and puts them on disk."""

    def __init__(self, folder: Path, number: int, dimension: int):
        self.folder, self.number, self.rows = folder, number, 0
        self._dimension = dimension
        self._vectors = _begin(folder / vectors_name(number), "<f4", (dimension,))
        self._ids = _begin(folder / ids_name(number), "<i8", ())

    def append(self, vectors: np.ndarray, ids: np.ndarray) -> None:
        """Some rows more."""
        assert vectors.shape == (len(ids), self._dimension), "the caller checks"
        self._vectors.write(np.ascontiguousarray(vectors, "<f4").data)
        self._ids.write(np.ascontiguousarray(ids, "<i8").data)
        self.rows += len(ids)

    def close(self) -> None:
        """Write the number of rows into both files, and both to disk."""
        _end(self._vectors, "<f4", (self.rows, self._dimension))
        _end(self._ids, "<i8", (self.rows,))

    def discard(self) -> None:
        """Remove both files."""
        for stream in (self._vectors, self._ids):
            stream.close()
            Path(stream.name).unlink(missing_ok=True)


def vectors_name(number: int) -> str:
    return f"vectors-{number:06}.npy"


def ids_name(number: int) -> str:
    return f"ids-{number:06}.npy"


def open_segment(folder: Path, number: int, first_row: int, rows: int, dimension: int) -> Segment:
    """Map a pair of files.

    Raises:
        FileNotFoundError: one is not there.
        ArtifactError: one is damaged.
    """
    vectors = _mapped(folder / vectors_name(number), (rows, dimension), np.float32)
    return Segment(first_row, vectors, _mapped(folder / ids_name(number), (rows,), np.int64))


def gather(segments: Sequence[Segment], rows: np.ndarray) -> np.ndarray:
    """(len(rows), F) the vectors of some rows, in their order.

    Raises:
        ArtifactError: there is no such row.
    """
    if len(rows) and not 0 <= rows.min() <= rows.max() < (segments[-1].end if segments else 0):
        raise ArtifactError("The index names vectors that it has not; it is damaged, build it again.")
    dimension = segments[0].vectors.shape[1] if segments else 0
    found = np.empty((len(rows), dimension), np.float32)
    for segment in segments:
        inside = np.flatnonzero((rows >= segment.first_row) & (rows < segment.end))
        if len(inside) == len(rows):  # without a copy in between
            np.take(segment.vectors, rows - segment.first_row, axis=0, out=found, mode="clip")
        else:
            found[inside] = segment.vectors[rows[inside] - segment.first_row]
    return found


def ids_of_rows(segments: Sequence[Segment], rows: np.ndarray) -> np.ndarray:
    """(len(rows),) the ids of some rows."""
    found = np.empty(len(rows), np.int64)
    for segment in segments:
        inside = (rows >= segment.first_row) & (rows < segment.end)
        found[inside] = segment.ids[rows[inside] - segment.first_row]
    return found


def from_row(segments: Sequence[Segment], row: int) -> list[Segment]:
    """The segments without the rows before one."""
    found = []
    for segment in segments:
        inside = max(0, row - segment.first_row)
        if inside < len(segment):
            found.append(Segment(segment.first_row + inside, segment.vectors[inside:], segment.ids[inside:]))
    return found


def in_blocks(
    array: np.ndarray, *, block_bytes: int = BLOCK_BYTES, rows_at_once: int | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Positions and copies of a (N, F) array's rows, some at a time, so that a mapped file takes little memory."""
    each = rows_at_once or max(1, block_bytes // max(1, array[:1].nbytes))
    for first in range(0, len(array), each):
        yield first, np.array(array[first : first + each])
        release(array)


def release(array: np.ndarray) -> None:
    """Let go of the memory that a mapped array takes; it is read from the disk again when it is needed."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def _begin(path: Path, kind: str, shape: tuple[int, ...]) -> IO[bytes]:
    stream = path.open("wb")
    stream.write(_header(kind, (0, *shape)))
    return stream


def _end(stream: IO[bytes], kind: str, shape: tuple[int, ...]) -> None:
    stream.seek(0)
    stream.write(_header(kind, shape))
    stream.flush()
    os.fsync(stream.fileno())
    stream.close()


def _header(kind: str, shape: tuple[int, ...]) -> bytes:
    """Of numpy's format, version 1.0, always of 128 bytes: its length must not hang on the number of rows."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape!r}, }}"
    return b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + text.encode().ljust(117) + b"\n"


def _mapped(path: Path, shape: tuple[int, ...], kind: type) -> np.ndarray:
    """An array of ours: its head is known to the byte, so nothing that a file says is believed."""
    head = _header(np.dtype(kind).str, shape)
    size = len(head) + np.dtype(kind).itemsize * int(np.prod(shape))
    with path.open("rb") as stream:
        if stream.read(len(head)) != head or os.fstat(stream.fileno()).st_size != size:
            raise ArtifactError(f"{path} is not the whole file of {shape} numbers that the index has; build it again.")
        return np.asarray(np.memmap(stream, kind, "r", len(head), shape))
