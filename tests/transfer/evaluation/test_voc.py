"""VOC scores against values worked out by hand, and against the rules written out as loops."""

from pathlib import Path

import numpy as np
import pytest

from goodviews.transfer.datasets.labelled_photos import LabelledObject, LabelledPhoto
from goodviews.transfer.detection.detector import Detections
from goodviews.transfer.evaluation.matches import IOU_THRESHOLDS, ClassMatches, with_intervals
from goodviews.transfer.evaluation.voc import average_precisions, classes_to_find, resample_matches, voc_scores
from goodviews.transfer.evaluation.voc_matching import match_detections, to_voc_form


def photo(name: str, *boxes: tuple[int, int, int, int], kind: str = "cat", difficult: bool = False) -> LabelledPhoto:
    """Boxes by VOC's 1-based inclusive corners."""
    things = tuple(LabelledObject(kind, (x1 - 1, y1 - 1, x2, y2), difficult) for x1, y1, x2, y2 in boxes)
    return LabelledPhoto(name, Path(f"{name}.jpg"), 500, 500, things)


def found(name: str, *boxes: tuple[float, ...], kind: str = "cat") -> Detections:
    """Boxes as (1-based corners, score)."""
    table = np.array(boxes, dtype=float).reshape(-1, 5)
    return Detections(name, table[:, :4] - [1, 1, 0, 0], table[:, 4], (kind,) * len(table))


A, B, FAR = (11, 11, 110, 110), (201, 201, 300, 300), (401, 401, 450, 450)


def test_perfect_detections_score_100():
    scores = voc_scores([found("1", (*A, 0.9), (*B, 0.8))], [photo("1", A, B)], ["cat"])
    assert (scores.ap, scores.ap50, scores.ap75) == pytest.approx((100, 100, 100))


def test_nothing_detected_scores_0():
    for nothing in ([], [found("1")]):
        scores = voc_scores(nothing, [photo("1", A)], ["cat"])
        assert (scores.ap, scores.ap50, scores.ap75) == (0, 0, 0)


def test_eleven_points_by_hand():
    # hit, miss, hit of two objects: precision 1 up to recall 0.5 (six points), then 2/3 (five points)
    hits = np.array([[True, False, True]])
    one = ClassMatches("cat", np.zeros(3, int), hits, ~hits, np.array([2]))
    assert average_precisions(one, one.once) == pytest.approx([(6 + 5 * 2 / 3) / 11])
    scores = voc_scores([found("1", (*A, 0.9), (*FAR, 0.8), (*B, 0.7))], [photo("1", A, B)], ["cat"])
    assert scores.ap50 == pytest.approx(100 * (6 + 5 * 2 / 3) / 11)


def test_second_detection_of_an_object_is_a_miss_even_beside_another_object():
    twice = [found("1", (*A, 0.9), (*A, 0.8), (*B, 0.7))]
    assert voc_scores(twice, [photo("1", A, B)], ["cat"]).ap50 == pytest.approx(100 * (6 + 5 * 2 / 3) / 11)


def test_same_box_in_another_photo_is_a_miss():
    assert voc_scores([found("2", (*A, 0.9))], [photo("1", A), photo("2")], ["cat"]).ap50 == 0


def test_overlap_of_exactly_one_half_is_a_miss():
    assert voc_scores([found("1", (1, 1, 10, 5, 0.9))], [photo("1", (1, 1, 10, 10))], ["cat"]).ap50 == 0


def test_corners_are_inclusive():
    # two of three pixels in a row: 2/3; without the inclusive corner the row would have no height at all
    assert voc_scores([found("1", (1, 1, 2, 1, 0.9))], [photo("1", (1, 1, 3, 1))], ["cat"]).ap50 == pytest.approx(100)


def test_ap_is_the_mean_over_ten_thresholds():
    # overlap 0.62: found at 0.50, 0.55 and 0.60
    scores = voc_scores([found("1", (1, 1, 62, 100, 0.9))], [photo("1", (1, 1, 100, 100))], ["cat"])
    assert (scores.ap50, scores.ap75, scores.ap) == pytest.approx((100, 0, 30))


def test_difficult_objects_neither_count_nor_cost():
    photos = [photo("1", A), photo("2", B, difficult=True)]
    hits = [found("1", (*A, 0.8)), found("2", (*B, 0.9), (*B, 0.85))]
    assert voc_scores(hits, photos, ["cat"]).ap50 == pytest.approx(100)
    assert classes_to_find([photo("2", B, difficult=True)]) == ()


def test_class_without_an_object_scores_0_unless_left_out():
    photos, hits = [photo("1", A)], [found("1", (*A, 0.9))]
    assert voc_scores(hits, photos, ["cat", "dog"]).ap50 == pytest.approx(50)
    assert classes_to_find(photos) == ("cat",)


def test_detections_are_scored_as_written_in_a_results_file():
    boxes, scores = to_voc_form(Detections("1", np.array([[9.94, 0.0, 20.06, 30.0]]), np.array([0.12345]), ("cat",)))
    assert (boxes, scores) == ([[10.9, 1.0, 20.1, 30.0]], [0.123])


def interval_of_ap50(detections: list[Detections], photos: list[LabelledPhoto]) -> dict[str, float]:
    draws = resample_matches(match_detections(detections, photos, ["cat"]))
    return with_intervals({"AP50": voc_scores(detections, photos, ["cat"]).ap50}, {"AP50": draws[:, 1]})


def test_intervals_hold_the_score_and_shrink_with_more_photos():
    def width(count: int) -> float:
        photos = [photo(str(number), A) for number in range(count)]
        hits = [found(str(number), (*(A if number % 2 else FAR), 0.5)) for number in range(count)]
        metrics = interval_of_ap50(hits, photos)
        assert metrics["AP50_low"] < metrics["AP50"] < metrics["AP50_high"]
        return metrics["AP50_high"] - metrics["AP50_low"]

    assert width(80) < 0.7 * width(20)


def test_intervals_of_perfect_and_of_no_detections_have_no_width():
    photos = [photo("1", A), photo("2", B)]
    perfect = interval_of_ap50([found("1", (*A, 0.9)), found("2", (*B, 0.8))], photos)
    assert set(perfect.values()) == {100}
    assert set(interval_of_ap50([], photos).values()) == {0}


def test_scores_agree_with_the_rules_written_as_loops():
    random = np.random.default_rng(5)
    photos, detections = [], []
    for number in range(12):
        corners = [(x, y, x + w, y + h) for x, y, w, h in random.integers(5, 120, (4, 4)).tolist()]
        things = [photo("", box, difficult=random.random() < 0.3).objects[0] for box in corners]
        photos.append(LabelledPhoto(str(number), Path("x.jpg"), 500, 500, tuple(things)))
        jitter = [(*(np.array(box) + random.normal(0, 6, 4)), random.random()) for box in corners * 2]
        detections.append(found(str(number), *jitter))
    scores = voc_scores(detections, photos, ["cat"])
    assert scores.ap == pytest.approx(100 * np.mean([_by_loops(detections, photos, t) for t in IOU_THRESHOLDS]))
    assert 5 < scores.ap75 < scores.ap < scores.ap50 < 95


def _by_loops(detections: list[Detections], photos: list[LabelledPhoto], threshold: float) -> float:
    objects = {one.id: [[*np.add(t.box, [1, 1, 0, 0]), t.is_difficult] for t in one.objects] for one in photos}
    rows = [(score, one.photo_id, box) for one in detections for box, score in zip(*to_voc_form(one))]
    used, outcomes = set(), []
    for _, name, box in sorted(rows, key=lambda row: -row[0]):
        overlaps = [_overlap(box, thing) for thing in objects[name]]
        best = int(np.argmax(overlaps))
        if overlaps[best] > threshold and objects[name][best][4]:
            continue
        outcomes.append(overlaps[best] > threshold and (name, best) not in used)
        if overlaps[best] > threshold:
            used.add((name, best))
    total = sum(not thing[4] for things in objects.values() for thing in things)
    curve = [(sum(outcomes[:n]) / total, sum(outcomes[:n]) / n) for n in range(1, len(outcomes) + 1)]
    return float(np.mean([max([p for r, p in curve if r >= level], default=0) for level in np.arange(0, 1.1, 0.1)]))


def _overlap(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]) + 1, min(a[3], b[3]) - max(a[1], b[1]) + 1
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0] + 1) * (a[3] - a[1] + 1) + (b[2] - b[0] + 1) * (b[3] - b[1] + 1) - shared)
