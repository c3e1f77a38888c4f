"""How much of the exact answer an approximate search finds, and how long it takes; raised until it is enough.

Queries are vectors of the index itself, and each is left out of its own answer: it would be found in any case. A
neighbour that is found counts as right if it is as similar as the tenth of the exact ones, so that ties count alike.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .approximate import Approximate, Settings, can_look_harder
from .exact import best, nearest_rows
from .segments import Segment, gather, in_blocks, release

QUERIES, TIMED = 200, 50
K = 10
WANTED, AIM = 0.99, 0.993  # a sample of 2,000 neighbours is off by 0.002
TIE = 1e-6


@dataclass(frozen=True)
class Measured:
    """What a search was found to do.

    Attributes:
        effort: see `Settings`.
        recall: of the 10 nearest others, the share that is found.
        query_ms: of one query alone, the median.
        exact_ms: of one query of a batch that is compared with all vectors.
        queries: how many were tried.
    """

    effort: int
    recall: float
    query_ms: float
    exact_ms: float
    queries: int

    def to_json(self) -> dict[str, Any]:
        """As the index keeps it."""
        return asdict(self)


def tune(index: Approximate, segments: Sequence[Segment], dead: np.ndarray | None, *, wanted: float = AIM) -> Measured:
    """Raise the effort until enough is found, or until no effort finds more.

    Args:
        segments: all of the index's.
        dead: (rows,) bool, rows that are not searched.
    """
    allowed = None if dead is None else ~dead
    alive = np.arange(index.rows) if allowed is None else np.flatnonzero(allowed[: index.rows])
    chosen = np.sort(np.random.default_rng(0).choice(alive, min(QUERIES, len(alive)), replace=False))
    queries = gather(segments, chosen)
    covered = [segment for segment in segments if segment.first_row < index.rows]
    start_s = time.perf_counter()
    exact, _ = without(chosen, *_exact(queries, covered, allowed))
    exact_ms = 1000 * (time.perf_counter() - start_s) / len(queries)
    effort = 0
    while True:
        settings = Settings(effort)
        found, _ = without(chosen, *index.search(queries, segments, K + 1, settings=settings, allowed=allowed))
        recall = share_found(exact, found)
        for segment in segments:
            release(segment.vectors)
        if recall >= wanted or not can_look_harder(index.kind, effort):
            break
        effort += 1
    times = []
    for query in queries[:TIMED]:
        start_s = time.perf_counter()
        index.search(query[None], segments, K, settings=settings, allowed=allowed)
        times.append(time.perf_counter() - start_s)
    return Measured(
        effort, round(recall, 4), round(1000 * float(np.median(times)), 3), round(exact_ms, 3), len(queries)
    )


def without(own: np.ndarray, similarities: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Answers of one neighbour less: the query's own row, or else the last, is left out."""
    is_own = rows == own[:, None]
    is_own[~is_own.any(axis=1), -1] = True
    shape = (len(rows), rows.shape[1] - 1)
    return similarities[~is_own].reshape(shape), rows[~is_own].reshape(shape)


def share_found(exact: np.ndarray, found: np.ndarray) -> float:
    """The share of neighbours that are as similar as the least of the exact ones, (Q, k) each."""
    return float((found >= exact.min(axis=1, keepdims=True) - TIE).mean())


def _exact(
    queries: np.ndarray, segments: Sequence[Segment], allowed: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of all, a block at a time: a mapped file larger than the memory is gone through once."""
    answer: list[tuple[np.ndarray, np.ndarray]] = []
    for segment in segments:
        for first, block in in_blocks(segment.vectors):
            part = Segment(segment.first_row + first, block, segment.ids[first : first + len(block)])
            answer = [best([*answer, nearest_rows(queries, [part], K + 1, allowed)], K + 1, len(queries))]
    return answer[0]
