"""Which object each detection finds, by the rules of VOC; see `voc.py` for them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..datasets.labelled_photos import LabelledPhoto
from ..detection.detector import Detections
from .matches import IOU_THRESHOLDS, ClassMatches

TO_ONE_BASED = np.array([1, 1, 0, 0])


def match_detections(
    detections: Sequence[Detections], photos: Sequence[LabelledPhoto], classes: Sequence[str]
) -> tuple[ClassMatches, ...]:
    """Matches the detections of each class to its objects.

    Args:
        detections: At most one entry a photo; a photo without an entry has no detections.
        photos: All photos tested on.
        classes: Detections and objects of others are left out.
    """
    by_class: dict[str, list[_Detection]] = defaultdict(list)
    for one in detections:
        for name, box, score in zip(one.names, *to_voc_form(one)):
            by_class[name].append(_Detection(one.photo_id, score, tuple(box)))
    return tuple(_match_class(by_class[name], name, photos) for name in classes)


def to_voc_form(detections: Detections) -> tuple[list[list[float]], list[float]]:
    """Boxes and scores as in a VOC results file: 1-based inclusive corners with one decimal, scores with three."""
    corners = detections.boxes.astype(np.float64) + TO_ONE_BASED
    boxes = [[round(edge, 1) for edge in box] for box in corners.tolist()]
    return boxes, [round(score, 3) for score in detections.scores.tolist()]


@dataclass(frozen=True)
class _Detection:
    """One detection in VOC's form."""

    photo_id: str
    score: float
    box: tuple[float, ...]


@dataclass(frozen=True)
class _Objects:
    """All objects of one class, numbered through the photos."""

    corners: dict[str, np.ndarray]  # photo -> (n, 4), 1-based inclusive
    first: dict[str, int]  # photo -> the number of its first object
    is_difficult: np.ndarray  # by number


def _match_class(detections: list[_Detection], name: str, photos: Sequence[LabelledPhoto]) -> ClassMatches:
    objects, position = _objects_of(name, photos), {photo.id: place for place, photo in enumerate(photos)}
    detections = sorted(detections, key=lambda one: -one.score)  # a stable sort: equal scores keep their order
    best = [_best_object(one, objects) for one in detections]
    overlaps, numbers = np.array([overlap for overlap, _ in best]), np.array([number for _, number in best], int)
    meets = overlaps > np.array(IOU_THRESHOLDS)[:, None]
    ignored = meets & np.append(objects.is_difficult, False)[numbers]  # -1, no object, is not difficult
    first = np.stack([_first_to_meet(row, numbers) for row in meets])
    return ClassMatches(
        name=name,
        photos=np.array([position[one.photo_id] for one in detections], int),
        hits=first & ~ignored,
        misses=~first & ~ignored,
        objects=np.array([sum(one.name == name and not one.is_difficult for one in photo.objects) for photo in photos]),
    )


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


def _best_object(one: _Detection, objects: _Objects) -> tuple[float, int]:
    """The highest overlap with an object of the photo, and that object's number; (0, -1) where there is none."""
    if one.photo_id not in objects.corners:
        return 0.0, -1
    overlaps = _overlaps(np.array(one.box), objects.corners[one.photo_id])
    best = int(overlaps.argmax())
    return float(overlaps[best]), objects.first[one.photo_id] + best


def _overlaps(box: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """IoU of one box with (n, 4) objects, corners inclusive."""
    low, high = np.maximum(objects[:, :2], box[:2]), np.minimum(objects[:, 2:], box[2:])
    shared = np.clip(high - low + 1, 0, None).prod(1)
    return shared / ((box[2:] - box[:2] + 1).prod() + (objects[:, 2:] - objects[:, :2] + 1).prod(1) - shared)


def _first_to_meet(meets: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Which detections are the first, in order, to meet their object."""
    rows = np.flatnonzero(meets)
    first = np.zeros(len(numbers), bool)
    first[rows[np.unique(numbers[rows], return_index=True)[1]]] = True
    return first
