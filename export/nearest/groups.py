"""Groups of vectors that are nearly the same: linked by pairs, so that a copy of a copy is in the group too."""

from collections.abc import Callable, Iterator

import numpy as np

ROWS_AT_ONCE = 1024
NEIGHBOURS = 32

Search = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def groups(count: int, pairs: Iterator[np.ndarray]) -> list[np.ndarray]:
    """Of `count` positions those that pairs (P, 2) link: ascending in each group, groups by their first position."""
    from scipy.sparse import coo_array  # here, since it takes longer to import than an index to open
    from scipy.sparse.csgraph import connected_components

    linked = np.concatenate([np.empty((0, 2), np.int64), *pairs])
    graph = coo_array((np.ones(len(linked), bool), (linked[:, 0], linked[:, 1])), shape=(count, count))
    _, group_of = connected_components(graph, directed=False)
    order = np.argsort(group_of, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(group_of[order])) + 1)
    return sorted((part for part in parts if len(part) > 1), key=lambda part: int(part[0]))


def pairs_of_all(vectors: np.ndarray, threshold: float) -> Iterator[np.ndarray]:
    """Every pair of (N, F) unit rows with a cosine of `threshold` or more."""
    for first in range(0, len(vectors), ROWS_AT_ONCE):
        similarities = vectors[first : first + ROWS_AT_ONCE] @ vectors[first:].T
        one, other = np.nonzero(similarities >= threshold)
        later = one < other
        yield np.stack([one[later], other[later]], axis=1) + first


def pairs_by_search(
    blocks: Iterator[tuple[np.ndarray, np.ndarray]], search: Search, threshold: float
) -> Iterator[np.ndarray]:
    """The pairs that a search finds.

    Args:
        blocks: rows, and their vectors.
        search: (queries, k) -> (similarities, rows).
    """
    for rows, vectors in blocks:
        k, pending = NEIGHBOURS, np.arange(len(rows))
        while len(pending):
            similarities, found = search(vectors[pending], k)
            near = (similarities >= threshold) & (found >= 0)
            yield np.stack([np.repeat(rows[pending], near.sum(axis=1)), found[near]], axis=1)
            k *= 4
            pending = pending[near.all(axis=1)] if found.shape[1] * 4 == k else pending[:0]
