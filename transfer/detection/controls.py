"""Scores without seeing the photo, by which a detector's score is read: of constant boxes, and of a detector's boxes on
other photos.

Where all photos are framed alike, boxes that are the same for every photo find many objects, and a detector that has
learned no more than where objects use to lie scores as high. What a detector sees is what it scores beyond these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..datasets.detection_data import DetectionData
from ..datasets.labelled_photos import LabelledPhoto
from ..evaluation.during_training import plain_scores
from .detector import Detections
from .settings import DetectionSettings

FEW_PHOTOS = 5_000  # to train on: with more, these scores are not computed
SEVERAL = 8  # constant boxes a class, at most
LEAST_IOU = 0.5  # from which on a constant box counts as near an object
MOST_CANDIDATES = 1_000
SHIFTS = 5  # how often each photo gets another one's boxes; the scores are averaged
ONE_BOX, SEVERAL_BOXES, WRONG_PHOTOS = "one constant box", "several constant boxes", "on wrong photos"
DESCRIPTION = (
    f"scores without seeing the photo: {ONE_BOX}: of each class the median of the largest box of each training photo, "
    f"relative to the photo; {SEVERAL_BOXES}: of each class up to {SEVERAL} training boxes that lie near most objects "
    f"(IoU {LEAST_IOU} or more); {WRONG_PHOTOS}: the detector's boxes, each photo's put on another test photo"
)

Floats = NDArray[np.float64]
Constant = tuple[str, float, Floats]  # class, score, box relative to the photo


def control_scores(
    detections: Sequence[Detections], data: DetectionData, settings: DetectionSettings
) -> dict[str, dict[str, float]]:
    """Metrics of boxes, percent, by the name of the control; nothing where there are many training photos.

    Args:
        detections: Of the detector, an entry for each photo of `data.test`.
        data: What it was trained and tested on.
        settings: The task's.
    """
    if len(data.train) > FEW_PHOTOS:
        return {}
    boxes_only = replace(settings, masks=False)
    scores = {
        name: plain_scores(put_on(data.test, boxes), data, boxes_only)
        for name, boxes in ((ONE_BOX, one_box(data)), (SEVERAL_BOXES, several_boxes(data)))
    }
    if len(data.test) > 1:
        each = [plain_scores(moved, data, boxes_only) for moved in on_wrong_photos(detections, data.test)]
        scores[WRONG_PHOTOS] = {name: float(np.mean([row[name] for row in each])) for name in each[0]}
    return scores


def one_box(data: DetectionData) -> list[Constant]:
    """A box for each class: the median, edge by edge, of the largest box of each training photo that shows it."""
    constants = []
    for name, by_photo in _relative_boxes(data).items():
        largest = [boxes[np.argmax(_areas(boxes))] for boxes in by_photo]
        constants.append((name, len(by_photo) / len(data.train), np.median(largest, axis=0)))
    return constants


def several_boxes(data: DetectionData) -> list[Constant]:
    """Boxes for each class, chosen one after the other: each lies near most of the objects that none before it is near.

    A box scores the share of the training photos in which it lies near an object.
    """
    constants: list[Constant] = []
    for name, by_photo in _relative_boxes(data).items():
        boxes, photo = np.concatenate(by_photo), np.repeat(range(len(by_photo)), [len(one) for one in by_photo])
        candidates = boxes[:: -(-len(boxes) // MOST_CANDIDATES)]
        is_near = _overlaps(candidates, boxes) >= LEAST_IOU
        is_open = np.ones(len(boxes), bool)
        for _ in range(SEVERAL):
            best = int((is_near & is_open).sum(axis=1).argmax())
            if not (is_near[best] & is_open).any():
                break
            constants.append((name, len(np.unique(photo[is_near[best]])) / len(data.train), candidates[best]))
            is_open &= ~is_near[best]
    return constants


def put_on(photos: Sequence[LabelledPhoto], constants: Sequence[Constant]) -> list[Detections]:
    """The same boxes in each photo."""
    ranked = sorted(constants, key=lambda constant: -constant[1])
    names, scores = tuple(name for name, _, _ in ranked), np.array([score for _, score, _ in ranked])
    relative = np.array([box for _, _, box in ranked]).reshape(-1, 4)
    return [Detections(photo.id, relative * _sides(photo), scores, names) for photo in photos]


def on_wrong_photos(detections: Sequence[Detections], photos: Sequence[LabelledPhoto]) -> list[list[Detections]]:
    """The detections moved on by several numbers of photos, in proportion to the photos' sizes; without masks."""
    shifts = sorted({round(shift) for shift in np.linspace(1, len(photos) - 1, SHIFTS)})
    return [
        [
            _move(detections[(place + shift) % len(photos)], photos[(place + shift) % len(photos)], photo)
            for place, photo in enumerate(photos)
        ]
        for shift in shifts
    ]


def _move(one: Detections, of: LabelledPhoto, to: LabelledPhoto) -> Detections:
    return Detections(to.id, one.boxes / _sides(of) * _sides(to), one.scores, one.names)


def _sides(photo: LabelledPhoto) -> Floats:
    return np.array([photo.width, photo.height, photo.width, photo.height], np.float64)


def _relative_boxes(data: DetectionData) -> dict[str, list[Floats]]:
    """By class, of each training photo that shows it, (n, 4) boxes relative to the photo; crowds are left out."""
    found: dict[str, list[Floats]] = defaultdict(list)
    for photo in data.train:
        by_name = defaultdict(list)
        for thing in photo.objects:
            if not thing.is_crowd:
                by_name[thing.name].append(thing.box)
        for name, boxes in by_name.items():
            found[name].append(np.array(boxes) / _sides(photo))
    return {name: found[name] for name in data.classes if name in found}


def _areas(boxes: Floats) -> Floats:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _overlaps(ours: Floats, theirs: Floats) -> Floats:
    """(n, m) IoU; that of relative boxes is that of the boxes in any photo."""
    low, high = np.maximum(ours[:, None, :2], theirs[:, :2]), np.minimum(ours[:, None, 2:], theirs[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    return shared / np.maximum(_areas(ours)[:, None] + _areas(theirs) - shared, 1e-12)
