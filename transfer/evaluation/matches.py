"""Detections matched to objects, class by class: what average precision, its draws and its curves are computed from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...hub.comparison.resamples import draw_images
from .precision_recall import Curve, curve

IOU_THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
METRICS = ("AP", "AP50", "AP75")
DRAWS = 300

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClassMatches:
    """The n detections of one class by falling score, at each of T IoU thresholds. Neither hit nor miss: ignored."""

    name: str
    photos: NDArray[np.int64]  # (n,) the position of each detection's photo
    hits: NDArray[np.bool_]  # (T, n)
    misses: NDArray[np.bool_]  # (T, n)
    objects: NDArray[np.int64]  # (photos,) how many are to be found in each photo

    def count(self, times: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """At each threshold, for each hit: hits so far, and hits and misses so far; photo k counts `times[k]` times.

        Hits alone decide average precision: precision falls at every miss, and recall stays.
        """
        weights = times[self.photos]
        everything = np.cumsum(weights)
        for places, counted in self._by_threshold:
            so_far = everything if counted is None else np.cumsum(weights * counted)
            yield np.cumsum(weights[places]), so_far[places]

    @cached_property
    def _by_threshold(self) -> list[tuple[NDArray[np.int64], NDArray[np.bool_] | None]]:
        """The places of the hits, and which detections are not ignored; None: all of them."""
        rows = zip(self.hits, self.hits | self.misses)
        return [(np.flatnonzero(hits), None if counted.all() else counted) for hits, counted in rows]

    @property
    def once(self) -> NDArray[np.int64]:
        """Each photo counts once."""
        return np.ones(len(self.objects), np.int64)


# One class, how often each photo counts -> (T,) average precision, 0-1; there is an object to find.
Precisions = Callable[[ClassMatches, NDArray[np.int64]], Floats]


def interpolate(precision: Floats, recall: Floats, at: Floats) -> float:
    """The mean over recalls `at` of the best precision at that recall or beyond; 0 beyond the last hit.

    Args:
        precision: (hits,) by falling score.
        recall: (hits,), rising.
        at: (R,), rising.
    """
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best[np.searchsorted(recall, at)].mean())


def resample(
    matches: Sequence[ClassMatches], precisions: Precisions, summarize: Callable[[Floats], Floats], *, draws: int
) -> Floats:
    """(draws, 3): METRICS in percent on each draw of `resamples.draw_images`, the same for every detector.

    Averaged over the classes that have an object in the draw; 0 where no class has.

    Args:
        matches: Of each class.
        precisions: The benchmark's rule.
        summarize: (classes, T) average precisions -> METRICS.
        draws: How many.
    """
    photos, rows = len(matches[0].objects) if matches else 1, []
    for times in draw_images(photos, draws):
        table = [precisions(one, times) for one in matches if times @ one.objects]
        rows.append(summarize(np.array(table)) if table else np.zeros(len(METRICS)))
    return np.array(rows)


def with_intervals(values: Mapping[str, float], draws: Mapping[str, Floats]) -> dict[str, float]:
    """The values, each that has draws followed by the ends of its 95 % bootstrap interval, NAME_low and NAME_high."""
    metrics: dict[str, float] = {}
    for name, value in values.items():
        metrics[name] = value
        if name in draws:
            metrics[f"{name}_low"], metrics[f"{name}_high"] = np.percentile(draws[name], [2.5, 97.5]).tolist()
    return metrics


def curves_of(matches: Sequence[ClassMatches], precisions: Precisions) -> tuple[Curve, ...]:
    """Precision by recall at the first threshold, with its average precision, of each class with an object to find."""
    curves = []
    for one in matches:
        if objects := int(one.objects.sum()):
            is_counted = one.hits[0] | one.misses[0]
            ap = float(100 * precisions(one, one.once)[0])
            curves.append(curve(one.name, one.hits[0][is_counted], objects, ap))
    return tuple(curves)
