"""Exact search: the inner product of queries with every vector, from mapped files.

Similarities that differ by less than rounding count as ties, and the lower row goes first: so a search gives the same
photos whatever the order of its arithmetic.
"""

from collections.abc import Sequence

import numpy as np

from .faiss_library import one_thread
from .segments import Segment, gather

SPARE = 16  # further candidates, so that ties at the end are decided by us; where they are more, more are asked for
DIGITS = 6  # float32 inner products of unit vectors agree to these


def nearest_rows(
    queries: np.ndarray, segments: Sequence[Segment], k: int, allowed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k rows most similar to each query, the most similar first.

    Args:
        queries: (Q, F) float32.
        segments: to search, with at least k rows that are allowed.
        allowed: (rows of the index,) bool; None allows all.

    Returns:
        (Q, k) similarities and (Q, k) rows; a row of -1 where there are fewer.
    """
    parts = [_of_segment(queries, segment, k, k + SPARE, allowed) for segment in segments]
    return best(parts, k, len(queries))


def nearest_of_rows(
    queries: np.ndarray, segments: Sequence[Segment], k: int, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As `nearest_rows`, among a few rows that are gathered first."""
    some = [Segment(0, gather(segments, rows), rows)]
    similarities, places = nearest_rows(queries, some, k)
    return similarities, np.where(places < 0, -1, rows[places]) if len(rows) else places


def best(parts: Sequence[tuple[np.ndarray, np.ndarray]], k: int, queries: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best of several (similarities, rows) of the same queries; ties by the lower row."""
    if not parts:
        return np.full((queries, k), -np.inf, np.float32), np.full((queries, k), -1, np.int64)
    similarities = np.concatenate([part[0] for part in parts], axis=1)
    rows = np.concatenate([part[1] for part in parts], axis=1)
    similarities = np.where(rows < 0, -np.inf, similarities)  # faiss pads with -1
    with np.errstate(over="ignore"):  # of damaged vectors, which the index refuses
        order = np.lexsort((rows, -np.round(similarities, DIGITS)), axis=1)[:, :k]
    return np.take_along_axis(similarities, order, 1), np.take_along_axis(rows, order, 1)


def _of_segment(
    queries: np.ndarray, segment: Segment, k: int, candidates: int, allowed: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The k best of a segment and whatever ties with the last of them, be it more than `candidates`."""
    similarities, rows = _candidates(queries, segment, candidates, allowed)
    if rows.shape[1] == len(segment.vectors):
        return similarities, rows
    with np.errstate(over="ignore"):  # as in `best`
        last, at_k = (np.round(similarities[:, place], DIGITS) for place in (-1, k - 1))
    goes_on = (rows[:, -1] >= 0) & (last == at_k)
    if not goes_on.any():
        return similarities, rows
    more, their_rows = _of_segment(queries[goes_on], segment, k, 4 * candidates, allowed)
    width = ((0, 0), (0, more.shape[1] - rows.shape[1]))
    similarities, rows = np.pad(similarities, width), np.pad(rows, width, constant_values=-1)
    similarities[goes_on], rows[goes_on] = more, their_rows
    return similarities, rows


def _candidates(
    queries: np.ndarray, segment: Segment, k: int, allowed: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    count, dimension = segment.vectors.shape
    mask = None if allowed is None else allowed[segment.first_row : segment.end]
    k = min(k, count)
    similarities, rows = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    with one_thread() as faiss:
        # faiss uses BLAS only from this many numbers on; its default makes 2-62 queries up to 11 times as slow
        faiss.cvar.distance_compute_blas_threshold = 2 * dimension
        chosen = None
        if mask is not None and not mask.all():
            bits = np.packbits(mask, bitorder="little")
            chosen = faiss.IDSelectorBitmap(bits)
        faiss.knn_inner_product(
            *(faiss.swig_ptr(array) for array in (queries, segment.vectors)),
            *(dimension, len(queries), count, k),
            *(faiss.swig_ptr(array) for array in (similarities, rows)),
            chosen,
        )
    return similarities, np.where(rows < 0, -1, rows + segment.first_row)
