"""Curves are those that the scores are computed from."""

import numpy as np
import pytest

from goodviews.transfer.datasets.labelled_photos import LabelledObject, LabelledPhoto
from goodviews.transfer.detection.detector import Detections
from goodviews.transfer.evaluation.coco import coco_scores
from goodviews.transfer.evaluation.coco_matching import coco_curves, match_overlaps
from goodviews.transfer.evaluation.precision_recall import curve
from goodviews.transfer.evaluation.voc import voc_curves, voc_scores
from goodviews.transfer.evaluation.voc_matching import match_detections

CLASSES = ("cat", "dog", "cow")


@pytest.fixture
def photos(tmp_path) -> list[LabelledPhoto]:
    """Twelve with a few cats and dogs each, one of them difficult or a crowd, and no cow."""
    random, made = np.random.default_rng(0), []
    for number in range(12):
        corners = random.uniform(0, 150, (5, 2))
        boxes = np.concatenate([corners, corners + random.uniform(20, 90, (5, 2))], axis=1)
        things = [LabelledObject(CLASSES[k % 2], tuple(box)) for k, box in enumerate(boxes.tolist())]
        things[0] = LabelledObject("cat", things[0].box, is_difficult=True, is_crowd=True)
        made.append(LabelledPhoto(str(number), tmp_path, 250, 250, tuple(things)))
    return made


@pytest.fixture
def found(photos: list[LabelledPhoto]) -> list[Detections]:
    """Every object twice, more or less where it is, and some of the wrong class."""
    random, made = np.random.default_rng(1), []
    for photo in photos:
        things = photo.objects * 2
        boxes = np.array([thing.box for thing in things]) + random.normal(0, 6, (len(things), 4))
        names = tuple(thing.name if random.random() < 0.8 else "dog" for thing in things)
        scores = np.sort(random.random(len(things)))[::-1]
        made.append(Detections(photo.id, boxes, scores, names))
    return made


def test_a_curve_is_the_best_precision_at_that_recall_or_beyond():
    one = curve("cat", np.array([True, False, True, True, False]), 4, 50.0)
    assert one.recall.tolist() == [0, 0.25, 0.25, 0.5, 0.75, 0.75]
    assert one.precision.tolist() == [1, 1, 0.75, 0.75, 0.75, 0.6]
    nothing = curve("cat", np.zeros(0, bool), 4, 0.0)
    assert (nothing.recall.tolist(), nothing.precision.tolist()) == ([0], [0])


def test_vocs_curves_have_the_scores_of_the_report(photos: list[LabelledPhoto], found: list[Detections]):
    curves = voc_curves(match_detections(found, photos, CLASSES[:2]))
    scores = voc_scores(found, photos, CLASSES[:2])
    assert {one.name: one.ap for one in curves} == {name: ap50 for name, (_, ap50, _) in scores.per_class.items()}
    assert [one.objects for one in curves] == [24, 24]  # the difficult ones do not count
    best = [max(curves[0].precision[curves[0].recall >= recall], default=0) for recall in np.arange(0, 1.1, 0.1)]
    assert 100 * np.mean(best) == pytest.approx(curves[0].ap)


def test_cocos_curves_have_the_scores_of_the_report(photos: list[LabelledPhoto], found: list[Detections]):
    scores = coco_scores(found, photos, CLASSES)
    curves = coco_curves(match_overlaps(scores.overlaps, len(photos), CLASSES))
    assert [(one.name, one.objects) for one in curves] == [("cat", 24), ("dog", 24)]  # there is no cow to find
    assert np.mean([one.ap for one in curves]) == pytest.approx(scores.values["AP50"])
    best = [max(curves[0].precision[curves[0].recall >= recall], default=0) for recall in np.linspace(0, 1, 101)]
    assert 100 * np.mean(best) == pytest.approx(curves[0].ap)
