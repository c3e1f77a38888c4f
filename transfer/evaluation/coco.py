"""How well boxes or masks were found, by COCO's rules: AP, AP50, AP75 and AP of small, medium and large objects.

- class by class and photo by photo, detections in order of falling score each take the object not yet found that they
  overlap most, with at least the threshold as IoU; a detection inside a crowd is ignored;
- AP at a threshold is the mean, over recall 0, 0.01, ..., 1, of the best precision at that recall or beyond; a class
  without an object to find counts nowhere;
- AP is the mean over classes and over thresholds 0.50, 0.55, ..., 0.95; small is an object of less than 32 x 32 pixels
  by its labelled area, large one of 96 x 96 or more. At most 100 detections of a class in a photo.

The counting is faster-coco-eval's, whose numbers are those of pycocotools but for the order of sums. Source: Lin et al.
2014 (arXiv:1405.0312) and cocodataset.org, "Detection evaluation".
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ...hub.errors import MissingExtra
from ..datasets.labelled_photos import LabelledObject, LabelledPhoto
from ..datasets.masks import areas, as_rle
from ..detection.detector import Detections

try:
    from faster_coco_eval import COCO, COCOeval_faster
except ImportError:
    raise MissingExtra("faster-coco-eval", extra="detection", needed_for="Scoring as COCO does") from None

METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")
NOTHING_TO_FIND = -1  # the evaluator's value where no object counts

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Overlaps:
    """One class in one photo: D detections by falling score, G objects, and how they overlap."""

    photo: int  # position in the photos
    category: int  # position in the classes
    scores: np.ndarray  # (D,)
    overlaps: np.ndarray  # (D, G) of a crowd: the part of the detection inside it
    is_crowd: np.ndarray  # (G,)


@dataclass(frozen=True)
class CocoScores:
    """Percent. A metric or class for which there is no object to find is absent."""

    values: dict[str, float]  # by METRICS
    per_class: dict[str, float]  # AP
    overlaps: tuple[Overlaps, ...]  # of every class and photo with a detection or an object


def coco_scores(
    detections: Sequence[Detections],
    photos: Sequence[LabelledPhoto],
    classes: Sequence[str],
    *,
    kind: Literal["boxes", "masks"] = "boxes",
) -> CocoScores:
    """Scores detections in `photos`.

    Args:
        detections: At most one entry a photo; with masks for kind "masks". Other classes than `classes` are an error.
        photos: All photos tested on, in the order of their ids: equal scores count in this order.
        classes: In the order of their categories' ids.
        kind: What must overlap.
    """
    number = {name: place for place, name in enumerate(classes, start=1)}
    image = {photo.id: place for place, photo in enumerate(photos, start=1)}
    truth = COCO(_truth(photos, number, kind))
    entries = [entry for one in detections for entry in _scored_entries(one, image[one.photo_id], number, kind)]
    results = truth.loadRes(entries)
    judge = COCOeval_faster(truth, results, {"boxes": "bbox", "masks": "segm"}[kind], print_function=log.debug)
    judge.run()
    values = {name: 100 * float(value) for name, value in zip(METRICS, judge.stats) if value != NOTHING_TO_FIND}
    precision = np.asarray(judge.eval["precision"])[:, :, :, 0, -1]  # thresholds, recalls, classes: any size, most
    means = precision.mean(axis=(0, 1))
    per_class = {name: 100 * mean for name, mean in zip(classes, means.tolist()) if mean != NOTHING_TO_FIND}
    return CocoScores(values, per_class, _overlaps(judge, truth, results))


def as_results(one: Detections, image: int, number: dict[str, int]) -> list[dict[str, Any]]:
    """Entries of a COCO results file: bbox is left, top, width, height.

    Args:
        one: The detections in one photo.
        image: The image's id.
        number: Category ids by name.
    """
    corners, masks = np.asarray(one.boxes, np.float64).reshape(-1, 4), one.masks or [None] * len(one.names)
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).tolist()
    entries: list[dict[str, Any]] = []
    for name, box, score, mask in zip(one.names, boxes, np.asarray(one.scores, np.float64).tolist(), masks):
        entries.append({"image_id": image, "category_id": number[name], "bbox": box, "score": score})
        if mask is not None:
            entries[-1]["segmentation"] = mask.as_coco()
    return entries


def _truth(photos: Sequence[LabelledPhoto], number: dict[str, int], kind: str) -> dict[str, Any]:
    images = [{"id": place, "width": p.width, "height": p.height} for place, p in enumerate(photos, start=1)]
    things = [(place, photo, thing) for place, photo in enumerate(photos, start=1) for thing in photo.objects]
    annotations = []
    for identity, (place, photo, thing) in enumerate(things, start=1):  # 0 would be taken for "not found"
        xmin, ymin, xmax, ymax = thing.box
        box = [xmin, ymin, round(xmax - xmin, 9), round(ymax - ymin, 9)]  # the labelled width, not one of 1e-14 less
        entry = {"id": identity, "image_id": place, "category_id": number[thing.name], "bbox": box}
        entry |= {"iscrowd": int(thing.is_crowd), "area": _area(thing, photo)}
        if kind == "masks":
            assert thing.mask is not None, "the reader refuses data without masks for a task with masks"
            entry["segmentation"] = as_rle(thing.mask, photo.height, photo.width).as_coco()
        annotations.append(entry)
    categories = [{"id": place, "name": name} for name, place in number.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def _area(thing: LabelledObject, photo: LabelledPhoto) -> float:
    """The labelled area, or that of the mask, or of the box."""
    if thing.area is not None:
        return thing.area
    if thing.mask is not None:
        return float(areas([as_rle(thing.mask, photo.height, photo.width)])[0])
    return (thing.box[2] - thing.box[0]) * (thing.box[3] - thing.box[1])


def _scored_entries(one: Detections, image: int, number: dict[str, int], kind: str) -> list[dict[str, Any]]:
    """Without boxes where masks are scored: else the size of a mask would be that of its box."""
    entries = as_results(one, image, number)
    unscored = {"boxes": "segmentation", "masks": "bbox"}[kind]
    return [{name: value for name, value in entry.items() if name != unscored} for entry in entries]


def _overlaps(judge: COCOeval_faster, truth: COCO, results: COCO) -> tuple[Overlaps, ...]:
    everything: dict[tuple[int, int], tuple[list[float], list[bool]]] = {}
    for image in truth.imgs:
        for entry in results.imgToAnns[image]:
            everything.setdefault((image, entry["category_id"]), ([], []))[0].append(entry["score"])
        for entry in truth.imgToAnns[image]:
            everything.setdefault((image, entry["category_id"]), ([], []))[1].append(bool(entry["iscrowd"]))
    most = judge.params.maxDets[-1]
    collected = []
    for (image, category), (scores, is_crowd) in sorted(everything.items()):
        best = -np.sort(-np.array(scores))[:most]
        shape = (len(best), len(is_crowd))
        overlaps = np.asarray(judge.ious[image, category], float).reshape(shape)
        collected.append(Overlaps(image - 1, category - 1, best, overlaps, np.array(is_crowd, bool)))
    return tuple(collected)
