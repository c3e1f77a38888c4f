"""COCO's matching of detections and objects, for objects of any size; from it come draws of AP and its curves.

The evaluator gives one number for all photos and is too slow to be asked hundreds of times. So its matching is repeated
here once, and a draw of photos then only weighs them. Where every photo counts once, the numbers are the evaluator's.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from .coco import Overlaps
from .matches import DRAWS, ClassMatches, curves_of, interpolate, resample
from .precision_recall import Curve

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)  # as the evaluator makes them
RECALLS = np.linspace(0.0, 1.0, 101)


def match_overlaps(overlaps: Sequence[Overlaps], photos: int, classes: Sequence[str]) -> tuple[ClassMatches, ...]:
    """Matches detections and objects by their overlaps, which are of `photos` photos; classes in both's order."""
    by_class: dict[int, list[Overlaps]] = defaultdict(list)
    for one in overlaps:
        by_class[one.category].append(one)
    return tuple(_match_class(classes[category], by_class[category], photos) for category in sorted(by_class))


def resample_matches(matches: Sequence[ClassMatches], *, draws: int = DRAWS) -> np.ndarray:
    """(draws, 3): AP, AP50 and AP75 in percent on draws of the photos; see `matches.resample`."""
    return resample(matches, average_precisions, _metrics, draws=draws)


def coco_curves(matches: Sequence[ClassMatches]) -> tuple[Curve, ...]:
    """Precision by recall at an IoU of 0.5, with its AP50, of each class that has an object to find."""
    return curves_of(matches, average_precisions)


def average_precisions(one: ClassMatches, times: np.ndarray) -> np.ndarray:
    """(T,) 101-point average precision at each threshold, 0-1; photo k counts `times[k]` times."""
    objects, least = int(times @ one.objects), np.spacing(1)  # keeps the division defined, as in the evaluator
    counts = one.count(times)
    return np.array([interpolate(hits / (counted + least), hits / objects, RECALLS) for hits, counted in counts])


def _metrics(table: np.ndarray) -> np.ndarray:
    """(classes, thresholds) in 0-1 -> AP, AP50, AP75 in percent."""
    means = table.mean(axis=0)
    return 100 * np.array([means.mean(), means[0], means[5]])


def _match_class(name: str, entries: list[Overlaps], photos: int) -> ClassMatches:
    order = np.argsort(-np.concatenate([one.scores for one in entries]), kind="stable")
    objects = np.zeros(photos, int)
    for one in entries:
        objects[one.photo] = (~one.is_crowd).sum()
    places = np.repeat([one.photo for one in entries], [len(one.scores) for one in entries])
    hits, ignored = (np.concatenate(parts, axis=1)[:, order] for parts in zip(*map(_match_photo, entries)))
    return ClassMatches(name, places[order], hits, ~(hits | ignored), objects)


def _match_photo(one: Overlaps) -> tuple[np.ndarray, np.ndarray]:
    """(T, D) which detections find an object, and which only a crowd."""
    detections, wanted = len(one.scores), np.minimum(IOU_THRESHOLDS, 1 - 1e-10)
    hits, ignored = np.zeros((2, len(wanted), detections), bool)
    objects, crowds = one.overlaps[:, ~one.is_crowd], one.overlaps[:, one.is_crowd]
    is_free = np.ones((len(wanted), objects.shape[1]), bool)
    for place in range(detections):
        if objects.shape[1]:
            meets = np.where(is_free & (objects[place] >= wanted[:, None]), objects[place], -1.0)
            best = meets.shape[1] - 1 - meets[:, ::-1].argmax(axis=1)  # of equal ones the last
            rows = np.flatnonzero(meets[np.arange(len(wanted)), best] >= 0)
            hits[rows, place], is_free[rows, best[rows]] = True, False
        if crowds.shape[1]:
            ignored[:, place] = ~hits[:, place] & (crowds[place].max() >= wanted)
    return hits, ignored
