"""How well boxes were found: AP, AP50 and AP75 by the rules of PASCAL VOC 2007.

The rules, as every published VOC transfer number uses them:

- corners are 1-based and inclusive, so a width is xmax - xmin + 1; detections are scored as written to a text file,
  with scores at three decimals and coordinates at one;
- class by class, detections in order of falling score each take the object of their photo that they overlap most, found
  before or not; with an overlap strictly above the threshold it is a hit, a miss if that object was found before, and
  neither if it is difficult;
- AP at a threshold is the mean, over recall 0, 0.1, ..., 1, of the best precision at that recall or beyond; a class
  without an object to find scores 0;
- AP50 and AP75 are means over classes at 0.50 and 0.75, AP the mean over 0.50, 0.55, ..., 0.95. Percent.

Source: Everingham et al. 2010, "The PASCAL Visual Object Classes (VOC) Challenge"; He et al. 2020 (arXiv:1911.05722)
for the thresholds.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...hub.comparison.resamples import draw_images
from ..datasets.labelled_photos import LabelledPhoto
from ..detection.detector import Detections
from .precision_recall import Curve, curve

THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
RECALLS = np.arange(0, 1.1, 0.1)
TO_ONE_BASED = np.array([1, 1, 0, 0])


@dataclass(frozen=True)
class VocScores:
    """Percent. `per_class` gives (AP, AP50, AP75) for each class."""

    ap: float
    ap50: float
    ap75: float
    per_class: dict[str, tuple[float, float, float]]


def voc_scores(detections: Sequence[Detections], photos: Sequence[LabelledPhoto], classes: Sequence[str]) -> VocScores:
    """Scores detections in `photos`; the means are over `classes`, so leave out a class that has no object to find.

    Args:
        detections: at most one entry a photo; a photo without an entry has no detections.
        photos: all photos tested on.
        classes: not empty.
    """
    judged = _judge(detections, photos, classes)
    table = np.array([_precisions(one, np.ones(len(photos), int)) for one in judged])
    means = _over_thresholds(table)
    ap, ap50, ap75 = means.mean(0).tolist()
    return VocScores(ap, ap50, ap75, {name: tuple(row) for name, row in zip(classes, means.tolist())})


def voc_intervals(resampled: np.ndarray) -> np.ndarray:
    """How far the scores move with the choice of test photos: 95 % bootstrap intervals over photos, percent.

    Args:
        resampled: what `voc_resampled` gave.

    Returns:
        (2, 3): the low and the high ends of AP, AP50 and AP75.
    """
    return np.percentile(resampled, [2.5, 97.5], axis=0)


def voc_resampled(
    detections: Sequence[Detections], photos: Sequence[LabelledPhoto], classes: Sequence[str], *, draws: int = 300
) -> np.ndarray:
    """(draws, 3): AP, AP50 and AP75 in percent on each draw of `resamples.draw_images`, the same for every detector.

    Averaged over the classes that have an object in the draw.
    """
    judged, rows = _judge(detections, photos, classes), []
    for counts in draw_images(len(photos), draws):
        table = [_precisions(one, counts) for one in judged if counts @ one.to_find]
        rows.append(_over_thresholds(np.array(table)).mean(0) if table else np.zeros(3))
    return np.array(rows)


def voc_curves(
    detections: Sequence[Detections], photos: Sequence[LabelledPhoto], classes: Sequence[str]
) -> tuple[Curve, ...]:
    """Precision by recall of each class at an overlap of 0.5, with its AP50."""
    curves = []
    for name, judged in zip(classes, _judge(detections, photos, classes)):
        ap50 = 100 * _precisions(judged, np.ones(len(photos), int))[0]
        curves.append(curve(name, judged.hits[0][~judged.ignored[0]], int(judged.to_find.sum()), ap50))
    return tuple(curves)


def classes_to_find(photos: Sequence[LabelledPhoto]) -> tuple[str, ...]:
    """The classes that have an object which counts, in alphabetical order."""
    return tuple(sorted({thing.name for photo in photos for thing in photo.objects if not thing.is_difficult}))


def to_voc_form(found: Detections) -> tuple[list[list[float]], list[float]]:
    """Boxes and scores as in a VOC results file: 1-based inclusive corners with one decimal, scores with three."""
    corners = found.boxes.astype(np.float64) + TO_ONE_BASED
    boxes = [[round(edge, 1) for edge in box] for box in corners.tolist()]
    return boxes, [round(score, 3) for score in found.scores.tolist()]


def average_precision(hits: np.ndarray, objects: int, weights: np.ndarray | None = None) -> float:
    """Eleven-point average precision, 0-1.

    Args:
        hits: (n,) bool by falling score, detections of difficult objects left out.
        objects: how many there were to find.
        weights: (n,) how often each detection counts; None: once.
    """
    if not objects or not len(hits):
        return 0.0
    weights = np.ones(len(hits), int) if weights is None else weights
    found = np.cumsum(hits * weights)
    precision = found / np.maximum(np.cumsum(weights), 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]  # at this recall or beyond
    return float(np.append(best, 0)[np.searchsorted(found / objects, RECALLS)].mean())


@dataclass(frozen=True)
class _Judged:
    """The n detections of one class by falling score, at each of the T thresholds."""

    photos: np.ndarray  # (n,) number of the photo
    hits: np.ndarray  # (T, n)
    ignored: np.ndarray  # (T, n) those of difficult objects
    to_find: np.ndarray  # (photos,) objects that count


@dataclass(frozen=True)
class _Found:
    """One detection of the class at hand, as written."""

    photo_id: str
    score: float
    box: tuple[float, ...]


@dataclass(frozen=True)
class _Objects:
    """All objects of one class, numbered through the photos."""

    corners: dict[str, np.ndarray]  # photo -> (n, 4), 1-based inclusive
    first: dict[str, int]  # photo -> the number of its first object
    is_difficult: np.ndarray  # by number


def _judge(detections: Sequence[Detections], photos: Sequence[LabelledPhoto], classes: Sequence[str]) -> list[_Judged]:
    found: dict[str, list[_Found]] = defaultdict(list)
    for entry in detections:
        for name, box, score in zip(entry.names, *to_voc_form(entry)):
            found[name].append(_Found(entry.photo_id, score, tuple(box)))
    return [_judge_class(found[name], name, photos) for name in classes]


def _judge_class(found: list[_Found], name: str, photos: Sequence[LabelledPhoto]) -> _Judged:
    objects, number_of = _objects_of(name, photos), {photo.id: number for number, photo in enumerate(photos)}
    found = sorted(found, key=lambda one: -one.score)  # a stable sort: equal scores keep their order
    best = [_best_object(one, objects) for one in found]
    overlaps, taken = np.array([overlap for overlap, _ in best]), np.array([thing for _, thing in best], int)
    meets = overlaps > np.array(THRESHOLDS)[:, None]
    return _Judged(
        photos=np.array([number_of[one.photo_id] for one in found], int),
        hits=np.stack([_hits(row, taken) for row in meets]),
        ignored=meets & np.append(objects.is_difficult, False)[taken],  # -1, no object, is not difficult
        to_find=np.array([sum(one.name == name and not one.is_difficult for one in photo.objects) for photo in photos]),
    )


def _precisions(judged: _Judged, counts: np.ndarray) -> list[float]:
    """Average precision of a class at each threshold, each photo counted `counts` times."""
    weights, objects = counts[judged.photos], int(counts @ judged.to_find)
    return [
        average_precision(hits[~ignored], objects, weights[~ignored])
        for hits, ignored in zip(judged.hits, judged.ignored)
    ]


def _over_thresholds(table: np.ndarray) -> np.ndarray:
    """(classes, thresholds) in 0-1 -> (classes, 3): AP, AP50, AP75 in percent."""
    return 100 * np.stack([table.mean(1), table[:, 0], table[:, THRESHOLDS.index(0.75)]], axis=1)


def _objects_of(name: str, photos: Sequence[LabelledPhoto]) -> _Objects:
    corners: dict[str, np.ndarray] = {}
    first: dict[str, int] = {}
    difficult: list[bool] = []
    for photo in photos:
        things = [thing for thing in photo.objects if thing.name == name]
        if things:
            corners[photo.id] = np.array([thing.box for thing in things]) + TO_ONE_BASED
            first[photo.id] = len(difficult)
            difficult += [thing.is_difficult for thing in things]
    return _Objects(corners, first, np.array(difficult, bool))


def _hits(meets: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Which detections are the first, in order, to meet their object."""
    rows = np.flatnonzero(meets)
    hits = np.zeros(len(taken), bool)
    hits[rows[np.unique(taken[rows], return_index=True)[1]]] = True
    return hits


def _best_object(one: _Found, objects: _Objects) -> tuple[float, int]:
    """The highest overlap with an object of the photo, and that object's number; (0, -1) where there is none."""
    if one.photo_id not in objects.corners:
        return 0.0, -1
    overlaps = _overlaps(np.array(one.box), objects.corners[one.photo_id])
    best = int(overlaps.argmax())
    return float(overlaps[best]), objects.first[one.photo_id] + best


def _overlaps(box: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Intersection over union of one box with (n, 4) objects, corners inclusive."""
    low, high = np.maximum(objects[:, :2], box[:2]), np.minimum(objects[:, 2:], box[2:])
    shared = np.clip(high - low + 1, 0, None).prod(1)
    return shared / ((box[2:] - box[:2] + 1).prod() + (objects[:, 2:] - objects[:, :2] + 1).prod(1) - shared)
