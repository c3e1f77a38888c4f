"""How fast boxes and masks are scored by COCO's rules, against pycocotools on the same detections, in one process.

    python benchmarks/coco_evaluation_speed.py --photos 500

val2017 has 5,000 photos with 7 objects each of 80 classes, and a trained detector leaves some tens of detections a
photo; --photos 5000 is that size, fewer photos show the same ratio. That both give the same six numbers is checked. Our
time is from detections to scores, that of the resampling for intervals beside it; theirs begins with finished JSON
entries, as pycocotools reads them.
"""

import argparse
import contextlib
import io
import time
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from goodviews.hub.reports.provenance import hardware
from goodviews.transfer.datasets.labelled_photos import LabelledObject, LabelledPhoto
from goodviews.transfer.datasets.masks import as_rle
from goodviews.transfer.detection.detector import Detections
from goodviews.transfer.evaluation.coco import METRICS, as_results, coco_scores
from goodviews.transfer.evaluation.coco_matching import match_overlaps, resample_matches

CLASSES = tuple(f"class {number}" for number in range(80))
WIDTH, HEIGHT = 640, 480
Kind = Literal["boxes", "masks"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--objects", type=int, default=7, help="a photo, on average")
    parser.add_argument("--false", type=int, default=20, help="detections beside those near objects, a photo")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    photos, detections = scene(options.photos, options.objects, options.false)
    found = sum(len(one.scores) for one in detections)
    print(f"{options.photos} photos, {sum(len(photo.objects) for photo in photos)} objects, {found} detections")
    print(f"{hardware()}; medians of {options.rounds} rounds in turn\n")
    kinds: tuple[Kind, ...] = ("boxes", "masks")
    for kind in kinds:
        truth, results = as_files(photos, detections, kind)
        seconds: dict[str, list[float]] = {"goodviews": [], "pycocotools": [], "resampling": []}
        for _ in range(options.rounds):
            began = time.perf_counter()
            scores = coco_scores(detections, photos, CLASSES, kind=kind)
            between = time.perf_counter()
            theirs = pycocotools_scores(truth, results, kind)
            seconds["pycocotools"].append(time.perf_counter() - between)
            seconds["goodviews"].append(between - began)
            began = time.perf_counter()
            resample_matches(match_overlaps(scores.overlaps, len(photos), CLASSES))
            seconds["resampling"].append(time.perf_counter() - began)
            np.testing.assert_allclose([scores.values[name] for name in METRICS], 100 * theirs[:6], rtol=1e-12)
        ratio = median(their / our for their, our in zip(seconds["pycocotools"], seconds["goodviews"]))
        taken = "  ".join(f"{name} {median(values):.2f} s" for name, values in seconds.items())
        print(f"{kind:6} AP {scores.values['AP']:.2f}   {taken}   {ratio:.1f} times as fast as pycocotools")


def scene(photos: int, objects: int, false: int) -> tuple[list[LabelledPhoto], list[Detections]]:
    """Objects of COCO's sizes, each found nearly, and further detections anywhere."""
    random = np.random.default_rng(0)
    made, found = [], []
    for number in range(1, photos + 1):
        kinds = random.choice(len(CLASSES), size=min(3, objects), replace=False)
        things = [thing(random, str(CLASSES[random.choice(kinds)])) for _ in range(random.integers(1, 2 * objects))]
        seen = [moved(random, one) for one in things] + [
            thing(random, str(random.choice(CLASSES))) for _ in range(false)
        ]
        made.append(LabelledPhoto(str(number), Path(f"{number}.jpg"), WIDTH, HEIGHT, tuple(things)))
        boxes, masks = np.array([one.box for one in seen]), [as_rle(one.mask or (), HEIGHT, WIDTH) for one in seen]
        names = tuple(one.name for one in seen)
        found.append(Detections(str(number), boxes, random.random(len(seen)), names, tuple(masks)))
    return made, found


def thing(random: np.random.Generator, name: str) -> LabelledObject:
    """A star-like polygon of twenty corners."""
    side = np.exp(random.uniform(np.log(15), np.log(250)))
    x, y = random.uniform(0, WIDTH - side), random.uniform(0, HEIGHT - min(side, HEIGHT))
    angles, radii = np.arange(20) * np.pi / 10, random.uniform(0.6, 1, 20) * side / 2
    corners = np.stack([x + side / 2 + radii * np.cos(angles), y + side / 2 + radii * np.sin(angles)], axis=1)
    return shaped(name, np.clip(corners, 0, (WIDTH, HEIGHT)))


def moved(random: np.random.Generator, one: LabelledObject) -> LabelledObject:
    corners = np.array(one.mask).reshape(-1, 2)
    return shaped(one.name, np.clip(corners + random.normal(0, 0.05, 2) * np.ptp(corners, axis=0), 0, (WIDTH, HEIGHT)))


def shaped(name: str, corners: np.ndarray) -> LabelledObject:
    corners = corners.round(2)
    box = (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())
    area = float((box[2] - box[0]) * (box[3] - box[1]) * 0.7)
    return LabelledObject(name, box, area=area, mask=(tuple(corners.flatten().tolist()),))


def as_files(photos: list[LabelledPhoto], detections: list[Detections], kind: Kind) -> tuple[dict[str, Any], list]:
    """What pycocotools reads: the labels and the results."""
    number = {name: place for place, name in enumerate(CLASSES, start=1)}
    annotations = [
        {
            "image_id": int(photo.id),
            "category_id": number[one.name],
            "bbox": [*one.box[:2], round(one.box[2] - one.box[0], 9), round(one.box[3] - one.box[1], 9)],
            "segmentation": [list(polygon) for polygon in one.mask or ()],
            "area": one.area,
            "iscrowd": 0,
        }
        for photo in photos
        for one in photo.objects
    ]
    labels = {
        "images": [{"id": int(photo.id), "width": WIDTH, "height": HEIGHT} for photo in photos],
        "annotations": [{"id": place, **entry} for place, entry in enumerate(annotations, start=1)],
        "categories": [{"id": place, "name": name} for name, place in number.items()],
    }
    unscored = {"boxes": "segmentation", "masks": "bbox"}[kind]
    results = [entry for one in detections for entry in as_results(one, int(one.photo_id), number)]
    return labels, [{name: value for name, value in entry.items() if name != unscored} for entry in results]


def pycocotools_scores(labels: dict[str, Any], results: list[dict[str, Any]], kind: Kind) -> np.ndarray:
    """Its twelve numbers; what it prints is dropped."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {**labels, "annotations": [dict(entry) for entry in labels["annotations"]]}
        truth.createIndex()
        judge = COCOeval(
            truth, truth.loadRes([dict(entry) for entry in results]), {"boxes": "bbox", "masks": "segm"}[kind]
        )
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
        return judge.stats


if __name__ == "__main__":
    main()
