"""How far COCO's AP moves with the choice of test photos: AP, AP50 and AP75 on draws of the photos; and its curves.

The evaluator gives one number for all photos and is too slow to be asked hundreds of times. So its matching of
detections and objects is repeated here once, for objects of any size, and a draw then only weighs photos. For a draw
that has every photo once, the numbers are the evaluator's.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...hub.comparison.resamples import draw_images
from .coco import Overlaps
from .precision_recall import Curve, curve

THRESHOLDS = np.linspace(0.5, 0.95, 10)
METRICS = ("AP", "AP50", "AP75")
RECALLS = np.linspace(0.0, 1.0, 101)


def coco_resampled(overlaps: Sequence[Overlaps], photos: int, *, draws: int = 300) -> np.ndarray:
    """(draws, 3): AP, AP50 and AP75 in percent on each draw of `resamples.draw_images`, the same for every detector.

    Averaged over the classes that have an object in the draw; 0 where no class has.
    """
    judged = _judged(overlaps, photos)
    return np.array([_scores(judged, counts) for counts in draw_images(photos, draws)])


def coco_curves(overlaps: Sequence[Overlaps], photos: int, classes: Sequence[str]) -> tuple[Curve, ...]:
    """Precision by recall at an overlap of 0.5, with its AP50, of each class that has an object to find."""
    curves = []
    for category, judged in _by_class(overlaps, photos).items():
        if objects := int(judged.to_find.sum()):
            counted, ap50 = judged.hits[0] | judged.misses[0], 100 * _precisions(judged, np.ones(photos, int))[0]
            curves.append(curve(classes[category], judged.hits[0][counted], objects, float(ap50)))
    return tuple(curves)


@dataclass(frozen=True)
class _Judged:
    """The n detections of one class by falling score, at each of the T thresholds."""

    photos: np.ndarray  # (n,) position of the photo
    hits: np.ndarray  # (T, n) bool
    misses: np.ndarray  # (T, n) bool; neither where a crowd was found
    to_find: np.ndarray  # (photos,) objects


def _judged(overlaps: Sequence[Overlaps], photos: int) -> list[_Judged]:
    return list(_by_class(overlaps, photos).values())


def _by_class(overlaps: Sequence[Overlaps], photos: int) -> dict[int, _Judged]:
    entries: dict[int, list[Overlaps]] = defaultdict(list)
    for one in overlaps:
        entries[one.category].append(one)
    return {category: _judge_class(entries[category], photos) for category in sorted(entries)}


def _judge_class(entries: list[Overlaps], photos: int) -> _Judged:
    outcomes = [_match(one) for one in entries]
    order = np.argsort(-np.concatenate([one.scores for one in entries]), kind="stable")
    to_find = np.zeros(photos, int)
    for one in entries:
        to_find[one.photo] = (~one.is_crowd).sum()
    places = np.repeat([one.photo for one in entries], [len(one.scores) for one in entries])
    hits, ignored = (np.concatenate(parts, axis=1)[:, order] for parts in zip(*outcomes))
    return _Judged(places[order], hits, ~(hits | ignored), to_find)


def _match(one: Overlaps) -> tuple[np.ndarray, np.ndarray]:
    """(T, D) which detections find an object, and which only a crowd."""
    detections, wanted = len(one.scores), np.minimum(THRESHOLDS, 1 - 1e-10)
    hits, ignored = np.zeros((2, len(wanted), detections), bool)
    objects, crowds = one.overlaps[:, ~one.is_crowd], one.overlaps[:, one.is_crowd]
    free = np.ones((len(wanted), objects.shape[1]), bool)
    for place in range(detections):
        if objects.shape[1]:
            meets = np.where(free & (objects[place] >= wanted[:, None]), objects[place], -1.0)
            best = meets.shape[1] - 1 - meets[:, ::-1].argmax(axis=1)  # of equal ones the last
            rows = np.flatnonzero(meets[np.arange(len(wanted)), best] >= 0)
            hits[rows, place], free[rows, best[rows]] = True, False
        if crowds.shape[1]:
            ignored[:, place] = ~hits[:, place] & (crowds[place].max() >= wanted)
    return hits, ignored


def _scores(judged: Sequence[_Judged], counts: np.ndarray) -> np.ndarray:
    """Each photo counted `counts` times."""
    table = np.array([_precisions(one, counts) for one in judged if counts @ one.to_find])
    if not len(table):
        return np.zeros(3)
    means = table.mean(axis=0)
    return 100 * np.array([means.mean(), means[0], means[5]])


def _precisions(one: _Judged, counts: np.ndarray) -> np.ndarray:
    """(T,) average precision of a class at each threshold."""
    if not len(one.photos):
        return np.zeros(len(THRESHOLDS))
    weights, objects = counts[one.photos], counts @ one.to_find
    found, wrong = (np.cumsum(flags * weights, axis=1) for flags in (one.hits, one.misses))
    precision = found / (found + wrong + np.spacing(1))
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]  # at this recall or beyond
    best = np.append(best, np.zeros((len(best), 1)), axis=1)  # beyond the last
    places = np.stack([np.searchsorted(recall, RECALLS) for recall in found / objects])
    return np.take_along_axis(best, places, axis=1).mean(axis=1)
