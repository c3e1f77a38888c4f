"""What scores without seeing the photo: constant boxes, and a detector's boxes on other photos."""

from pathlib import Path

import numpy as np
import pytest

from goodviews.hub.comparison.controls import controls_of
from goodviews.hub.comparison.files import csv_rows, html, markdown
from goodviews.hub.comparison.tables import Run, compare
from goodviews.transfer.datasets.detection_data import DetectionData
from goodviews.transfer.datasets.labelled_photos import LabelledObject, LabelledPhoto
from goodviews.transfer.datasets.photo_table import pack
from goodviews.transfer.datasets.voc import read_voc
from goodviews.transfer.detection import controls
from goodviews.transfer.detection.detector import Detections
from goodviews.transfer.detection.voc import VocDetection
from goodviews.transfer.printed_result import metrics_table, reading_notes

NEAR, FAR = (10.0, 10.0, 60.0, 60.0), (70.0, 70.0, 100.0, 100.0)


def photo(name: str, *boxes: tuple[float, ...], side: int = 100) -> LabelledPhoto:
    return LabelledPhoto(name, Path(name), side, side, tuple(LabelledObject("cat", box) for box in boxes))


def data(train: list[LabelledPhoto], test: list[LabelledPhoto]) -> DetectionData:
    splits = ("VOC2007 trainval",), "VOC2007 test"
    return DetectionData("d", Path(), "voc", ("cat",), pack(train), pack(test), *splits, ())


def found(name: str, *boxes: tuple[float, ...]) -> Detections:
    return Detections(name, np.array(boxes), np.ones(len(boxes)), ("cat",) * len(boxes))


def test_the_one_box_is_the_median_of_the_largest_relative_to_the_photo():
    shifted = [photo(str(shift), (shift, 0, 40 + shift, 50), (90, 90, 95, 95)) for shift in (0.0, 10.0, 30.0)]
    large = photo("large", (20, 0, 100, 100), side=200)
    [(name, score, box)] = controls.one_box(data([*shifted, large], shifted))
    assert (name, score) == ("cat", 1.0)
    assert box == pytest.approx([0.1, 0.0, 0.5, 0.5])


def test_several_boxes_cover_what_the_ones_before_do_not():
    train = [photo("0", NEAR, FAR), photo("1", NEAR), photo("2", NEAR)]
    chosen = controls.several_boxes(data(train, train))
    assert [(score, tuple(100 * box)) for _, score, box in chosen] == [
        (1.0, pytest.approx(NEAR)),
        (pytest.approx(1 / 3), pytest.approx(FAR)),
    ]


def test_photos_framed_alike_are_scored_without_being_seen():
    alike = data([photo("a", NEAR), photo("b", NEAR)], [photo("c", NEAR), photo("d", NEAR)])
    blind = controls.control_scores([found("c", NEAR), found("d", NEAR)], alike, VocDetection())
    assert {name: row["AP50"] for name, row in blind.items()} == pytest.approx(
        {"one constant box": 100, "several constant boxes": 100, "on wrong photos": 100}
    )


def test_boxes_are_put_on_another_photo_in_its_size():
    photos = [photo("c", NEAR), photo("d", FAR, side=200)]
    [moved] = controls.on_wrong_photos([found("c", NEAR), found("d", FAR)], photos)
    assert [one.photo_id for one in moved] == ["c", "d"]
    assert moved[0].boxes.tolist() == [[35.0, 35.0, 50.0, 50.0]]
    assert moved[1].boxes.tolist() == [[20.0, 20.0, 120.0, 120.0]]


def test_with_many_training_photos_nothing_is_computed(monkeypatch):
    monkeypatch.setattr(controls, "FEW_PHOTOS", 1)
    some = data([photo("a", NEAR), photo("b", NEAR)], [photo("c", NEAR)])
    assert controls.control_scores([found("c", NEAR)], some, VocDetection()) == {}


def test_squares_that_lie_alike_are_found_by_constant_boxes(devkit: Path):
    squares = read_voc(devkit)
    blind = controls.put_on(squares.test, controls.several_boxes(squares))
    assert controls.plain_scores(blind, squares, VocDetection())["AP50"] > 90


def test_they_stand_below_the_encoders_in_every_table_and_page(make_report):
    of_data = {
        "one constant box": {"top1": 61.0},
        "on wrong photos": {"top1": 12.0},
        "odd": [1],
        "odder": {"top1": "x"},
    }
    report = make_report("ours", top1=60.0)
    report = type(report)(**{**vars(report), "details": {"controls": of_data}})
    comparison = compare([Run("ours", report)])
    assert [one.name for one in comparison.tables[0].controls] == ["one constant box", "ours on wrong photos"]
    for page in (markdown(comparison), html(comparison, b"")):
        assert "one constant box" in page
        assert "61.0" in page
        assert "see no photo" in page
    assert sum(row[-2] == "control" for row in csv_rows(comparison)) == 2
    assert {len(row) for row in csv_rows(comparison)} == {21}
    assert [*controls_of(report)] == ["one constant box", "on wrong photos"]
    assert metrics_table(report).columns[0]._cells[-2:] == ["top1, one constant box", "top1, on wrong photos"]
    [note] = reading_notes(report)
    assert "not clearly above what is reached without seeing the photo (one constant box: 61.0)" in note
