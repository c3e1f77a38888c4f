"""COCO scores: equal to pycocotools' in every number, and right where there is little to count."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from goodviews.hub.comparison.resamples import draw_images
from goodviews.transfer.datasets.labelled_photos import LabelledObject, LabelledPhoto
from goodviews.transfer.datasets.masks import areas, as_rle, decode, encode, run_lengths
from goodviews.transfer.detection.detector import Detections
from goodviews.transfer.evaluation import matches
from goodviews.transfer.evaluation.coco import as_results, coco_scores
from goodviews.transfer.evaluation.coco_matching import match_overlaps, resample_matches

CLASSES = ("cat", "dog", "owl", "yak")  # nothing shows a yak
SIDE = 300


def thing(name: str, x: float, y: float, width: float, height: float, **other: object) -> LabelledObject:
    corners = (x, y, x + width, y, x + width, y + height * 0.8, x, y + height)  # so that masks are not their boxes
    area = other.pop("area", width * height * 0.9)
    return LabelledObject(name, (x, y, x + width, y + height), area=area, mask=(corners,), **other)


def photo(number: int, *things: LabelledObject) -> LabelledPhoto:
    return LabelledPhoto(str(number), Path(f"{number}.jpg"), SIDE, SIDE, things)


def found(one: LabelledPhoto, *things: LabelledObject, scores: list[float]) -> Detections:
    boxes = np.array([thing.box for thing in things]).reshape(-1, 4)
    masks = tuple(as_rle(thing.mask, SIDE, SIDE) for thing in things)
    return Detections(one.id, boxes, np.array(scores), tuple(thing.name for thing in things), masks)


@pytest.fixture(scope="module")
def random_scene() -> tuple[list[LabelledPhoto], list[Detections]]:
    """Objects of all sizes, crowds, a photo without any, detections near and far, equal scores."""
    random = np.random.default_rng(0)
    photos, detections = [], []
    for number in range(40):
        things, seen = [], []
        for _ in range(random.integers(0, 7) if number else 0):
            width, height = np.round(random.choice([12, 40, 110]) * random.uniform(0.7, 1.3, 2), 2)
            x, y = np.round(random.uniform(0, SIDE - 150, 2), 2)
            name = str(random.choice(CLASSES[:3]))
            things.append(thing(name, x, y, width, height, is_crowd=bool(random.random() < 0.15)))
            for _ in range(random.integers(0, 3)):
                dx, dy = random.normal(0, 0.08, 2) * (width, height)
                seen.append(thing(name, max(x + dx, 0), max(y + dy, 0), width, height))
        for _ in range(random.integers(0, 4)):
            seen.append(thing(str(random.choice(CLASSES)), *random.uniform(0, 150, 2), *random.uniform(5, 120, 2)))
        photos.append(photo(number, *things))
        detections.append(found(photos[-1], *seen, scores=np.round(random.random(len(seen)), 1).tolist()))
    return photos, detections


def theirs(photos: list[LabelledPhoto], detections: list[Detections], kind: str) -> np.ndarray:
    """pycocotools' twelve numbers, from files as it reads them."""
    coco = pytest.importorskip("pycocotools.coco", reason="compares to pycocotools")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    number = {name: place for place, name in enumerate(CLASSES, start=1)}
    truth = coco.COCO()
    annotations = [
        {
            "image_id": int(one.id),
            "category_id": number[thing.name],
            "bbox": [thing.box[0], thing.box[1], thing.box[2] - thing.box[0], thing.box[3] - thing.box[1]],
            "segmentation": [list(polygon) for polygon in thing.mask],
            "area": thing.area,
            "iscrowd": int(thing.is_crowd),
        }
        for one in photos
        for thing in one.objects
    ]
    truth.dataset = {
        "images": [{"id": int(one.id), "width": one.width, "height": one.height} for one in photos],
        "annotations": [{**entry, "id": place} for place, entry in enumerate(annotations, start=1)],
        "categories": [{"id": place, "name": name} for name, place in number.items()],
    }
    truth.createIndex()
    results = [entry for one in detections for entry in as_results(one, int(one.photo_id), number)]
    dropped = {"boxes": "segmentation", "masks": "bbox"}[kind]
    results = [{name: value for name, value in entry.items() if name != dropped} for entry in results]
    judge = cocoeval.COCOeval(truth, truth.loadRes(results), {"boxes": "bbox", "masks": "segm"}[kind])
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return judge.stats


@pytest.mark.parametrize("kind", ["boxes", "masks"])
def test_scores_are_those_of_pycocotools(random_scene, kind: str):
    photos, detections = random_scene
    scores = coco_scores(detections, photos, CLASSES, kind=kind)
    expected = 100 * theirs(photos, detections, kind)[:6]
    np.testing.assert_allclose(list(scores.values.values()), expected, rtol=1e-12)  # sums are in another order
    assert set(scores.per_class) == {"cat", "dog", "owl"}
    assert np.mean(list(scores.per_class.values())) == pytest.approx(scores.values["AP"])


@pytest.mark.parametrize("kind", ["boxes", "masks"])
def test_with_every_photo_once_the_resampling_gives_the_evaluators_numbers(random_scene, kind: str, monkeypatch):
    photos, detections = random_scene
    scores = coco_scores(detections, photos, CLASSES, kind=kind)
    monkeypatch.setattr(matches, "draw_images", lambda images, draws: [np.ones(images, int)])
    [once] = resample_matches(match_overlaps(scores.overlaps, len(photos), CLASSES))
    assert once == pytest.approx([scores.values[name] for name in ("AP", "AP50", "AP75")], abs=1e-9)


def test_a_photo_drawn_twice_counts_as_two_photos(random_scene):
    photos, detections = random_scene
    copies, copied = [], []
    counts = next(iter(draw_images(len(photos), 1)))
    for place, count in enumerate(counts):
        for _ in range(count):
            copies.append(replace(photos[place], id=str(len(copies))))
            copied.append(replace(detections[place], photo_id=copies[-1].id))
    scores = coco_scores(copied, copies, CLASSES)
    overlaps = coco_scores(detections, photos, CLASSES).overlaps
    resampled = resample_matches(match_overlaps(overlaps, len(photos), CLASSES), draws=1)[0]
    assert resampled == pytest.approx([scores.values[name] for name in ("AP", "AP50", "AP75")], abs=0.3)  # ties


def test_a_perfect_detector_scores_100_and_sizes_without_an_object_are_absent():
    one = photo(1, thing("cat", 10, 10, 20, 20), thing("owl", 100, 100, 50, 50))
    scores = coco_scores([found(one, *one.objects, scores=[0.9, 0.8])], [one], CLASSES)
    assert scores.values == {"AP": 100, "AP50": 100, "AP75": 100, "APs": 100, "APm": 100}  # no large one
    assert scores.per_class == {"cat": 100, "owl": 100}  # nor a dog


def test_size_goes_by_the_labelled_area_and_for_masks_not_by_the_box_of_what_was_found():
    one = photo(1, thing("cat", 10, 10, 40, 40, area=900.0))  # small as labelled, though its box is not
    scores = coco_scores([found(one, *one.objects, scores=[0.9])], [one], CLASSES, kind="masks")
    assert scores.values == {"AP": 100, "AP50": 100, "AP75": 100, "APs": 100}


@pytest.mark.parametrize("kind", ["boxes", "masks"])
def test_a_detector_that_finds_nothing_scores_0(kind: str):
    one, empty = photo(1, thing("cat", 10, 10, 20, 20)), photo(2)
    nothing = [
        Detections(one.id, np.zeros((0, 4)), np.zeros(0), ()),
        Detections("2", np.zeros((0, 4)), np.zeros(0), ()),
    ]
    scores = coco_scores(nothing, [one, empty], CLASSES, kind=kind)
    assert scores.values == {"AP": 0, "AP50": 0, "AP75": 0, "APs": 0}
    assert resample_matches(match_overlaps(scores.overlaps, 2, CLASSES), draws=3).tolist() == [[0, 0, 0]] * 3


def test_what_is_found_inside_a_crowd_counts_neither_way_but_in_an_empty_photo_it_is_wrong():
    cat, crowd = thing("cat", 10, 10, 20, 20), thing("cat", 100, 100, 100, 100, is_crowd=True)
    one, empty = photo(1, cat, crowd), photo(2)
    inside = thing("cat", 110, 110, 20, 20)
    first = found(one, inside, cat, scores=[0.9, 0.5])
    assert coco_scores([first], [one, empty], CLASSES).values["AP"] == 100
    wrong = found(empty, cat, scores=[0.7])
    assert coco_scores([first, wrong], [one, empty], CLASSES).values["AP"] == pytest.approx(50)


def test_masks_keep_their_pixels_through_run_lengths():
    pixels = np.random.default_rng(0).random((37, 23)) > 0.5
    rle = encode(pixels)
    assert np.array_equal(decode(rle, 37, 23), pixels)
    assert (rle.size, areas([rle])) == ((37, 23), [pixels.sum()])
    assert sum(run_lengths(rle.counts)[1::2]) == pixels.sum()
