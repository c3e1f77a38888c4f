"""Precision at each recall, and scores class by class: what the pictures of a benchmark show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Curve:
    """How precise the best detections of a class are, at one overlap threshold."""

    name: str
    recall: NDArray[np.float64]  # (n,) 0-1, rising from 0
    precision: NDArray[np.float64]  # (n,) 0-1, the best at that recall or beyond
    ap: float  # percent, by the rules of the benchmark
    objects: int  # to be found, at least one


@dataclass(frozen=True)
class ByClass:
    """Scores and curves class by class."""

    metric: str  # a key of the report's metrics
    scores: dict[str, float]  # percent, of each class that has an object to find
    curves: tuple[Curve, ...]  # of the same classes; their `ap` is at the threshold
    threshold: float = 0.5  # the IoU from which on a detection is a hit


def curve(name: str, hits: NDArray[np.bool_], objects: int, ap: float) -> Curve:
    """The curve of one class.

    Args:
        name: Of the class.
        hits: (n,) whether each detection is a hit, by falling score, without ignored ones.
        objects: How many there are to find, at least one.
        ap: Percent, as the benchmark computes it.
    """
    so_far = np.cumsum(hits)
    precision = so_far / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    recall = np.concatenate([[0.0], so_far / objects])
    return Curve(name, recall, np.concatenate([best[:1] if len(best) else [0.0], best]), ap, objects)
