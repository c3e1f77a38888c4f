"""Precision at each recall, from which every average precision is computed; numbers only, whatever the benchmark."""

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
    """What was measured class by class, for pictures."""

    metric: str  # what `scores` are: a key of the report's metrics
    scores: dict[str, float]  # percent, of each class that has an object to find
    curves: tuple[Curve, ...]  # of the same classes; their `ap` is at the threshold
    threshold: float = 0.5  # the overlap from which on a detection is right


def curve(name: str, hits: NDArray[np.bool_], objects: int, ap: float) -> Curve:
    """The curve of one class.

    Args:
        name: of the class.
        hits: (n,) whether each detection is right, by falling score, without those that count neither way.
        objects: how many there were to find, at least one.
        ap: percent, as the benchmark computes it.
    """
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    recall = np.concatenate([[0.0], found / objects])
    return Curve(name, recall, np.concatenate([best[:1] if len(best) else [0.0], best]), ap, objects)
