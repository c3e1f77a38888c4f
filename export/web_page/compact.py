"""Vectors in a quarter of their size: 8-bit integers and a scale a row, and what the rounding costs a search."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

LARGEST = 127
NEIGHBOURS = 10
SAMPLE = 200  # rows whose neighbours are looked up


@dataclass(frozen=True)
class Compact:
    """(N, F) int8 and (N,) float32: row i is rows[i] * scales[i]."""

    rows: np.ndarray
    scales: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray) -> "Compact":
        """Of (N, F) float32 that are not all zero in any row."""
        scales = (np.abs(vectors).max(axis=1) / LARGEST).astype(np.float32)
        return cls(np.rint(vectors / scales[:, None]).astype(np.int8), scales)

    def floats(self, part: slice = slice(None)) -> np.ndarray:
        """Some rows, as they are searched."""
        rows: np.ndarray = self.rows[part].astype(np.float32) * self.scales[part, None]
        return rows

    def to_bytes(self) -> bytes:
        """The scales, then the rows, little-endian."""
        return self.scales.astype("<f4").tobytes() + self.rows.tobytes()


@dataclass(frozen=True)
class Loss:
    """What rounding changes.

    Attributes:
        cosine: lowest, of a row to itself before.
        neighbours: share of the 10 nearest that stay; None with too few photos.
    """

    cosine: float
    neighbours: float | None


def loss_of(compact: Compact, vectors: np.ndarray) -> Loss:
    """Compare rounded vectors with the exact ones; neighbours of at most SAMPLE rows, spread evenly."""
    lowest = min(
        float((_units(compact.floats(part)) * vectors[part]).sum(axis=1).min()) for part in _slices(len(vectors))
    )
    asked = np.unique(np.linspace(0, len(vectors) - 1, SAMPLE).astype(int))
    return Loss(min(lowest, 1.0), overlap(vectors[asked], vectors, vectors[asked], compact, left_out=asked))


def overlap(
    exact: np.ndarray, vectors: np.ndarray, ours: np.ndarray, compact: Compact, *, left_out: np.ndarray
) -> float | None:
    """The share of the 10 nearest photos that a search by other queries among rounded vectors finds too.

    Args:
        exact: (Q, F) queries among `vectors`.
        ours: (Q, F) the same queries as another encoder gives them, among `compact`.
        left_out: (Q,) the row that each query is of, and that it does not find.
    """
    if len(vectors) <= 2 * NEIGHBOURS:
        return None
    found = _nearest(ours, (compact.floats(part) for part in _slices(len(vectors))), left_out)
    expected = _nearest(exact, (vectors[part] for part in _slices(len(vectors))), left_out)
    shared = [len(np.intersect1d(a, b)) for a, b in zip(found, expected)]
    return float(np.mean(shared) / NEIGHBOURS)


def _nearest(queries: np.ndarray, parts: Iterable[np.ndarray], left_out: np.ndarray) -> np.ndarray:
    """(Q, 10) rows, in no order."""
    similarities = np.concatenate([queries @ part.T for part in parts], axis=1)
    similarities[np.arange(len(queries)), left_out] = -np.inf
    return np.argpartition(-similarities, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]


def _slices(count: int, size: int = 4096) -> list[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]


def _units(rows: np.ndarray) -> np.ndarray:
    units: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return units
