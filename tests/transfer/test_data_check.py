"""`goodviews transfer TASK --check`: everything that is wrong with a folder, before anything is trained."""

import json
from pathlib import Path

import pytest

from goodviews.hub.errors import DataError, UsageError
from goodviews.transfer import commands


def printed_words(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_a_sound_folder_is_counted(colours: Path, devkit: Path, coco_folder: Path, capsys):
    commands.transfer("linear", data=colours, check=True)
    assert "18 training and 9 test images of 3 classes. Nothing is wrong" in printed_words(capsys)
    commands.transfer("voc-detection", data=devkit, check=True)
    assert "6 training photos with 12 objects and 3 test photos with 6 objects of 2 classes." in printed_words(capsys)
    commands.transfer("coco-fpn-1x", data=coco_folder, check=True)
    assert "6 training photos with 13 objects and 3 test photos with 4 objects of 2 classes." in printed_words(capsys)
    commands.transfer("voc07-map", data=devkit, check=True)
    assert "9 photos in the splits trainval, test of VOC2007. Nothing" in printed_words(capsys)


def test_everything_wrong_with_a_folder_of_images_is_listed(colours: Path, capsys):
    (colours / "train" / "red" / "0.png").write_bytes(b"no image")
    (colours / "val" / "blue" / "1.png").write_bytes((colours / "train" / "blue" / "4.png").read_bytes())
    with pytest.raises(DataError, match=r"2 things are wrong with .*colours; nothing was trained"):
        commands.transfer("knn", data=colours, check=True)
    printed = printed_words(capsys)
    assert "0.png is not an image that Pillow can read" in printed
    assert "blue/1.png is the training image" in printed


def test_everything_wrong_with_boxes_and_masks_is_listed(coco_folder: Path, capsys):
    path = coco_folder / "annotations" / "instances_val2017.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"] = [50, 50, 60, 10]
    content["annotations"][1]["category_id"] = 9
    content["annotations"][2]["segmentation"] = []
    path.write_text(json.dumps(content))
    (coco_folder / "val2017" / "000003.jpg").unlink()
    with pytest.raises(DataError, match="4 things are wrong"):
        commands.transfer("coco-c4-1x", data=coco_folder, check=True)
    printed = printed_words(capsys)
    for words in ("does not lie within", "category 9", "no mask", "000003.jpg is missing"):
        assert words in printed


def test_what_is_left_out_is_noted_and_does_not_prevent_training(coco_folder: Path, capsys):
    path = coco_folder / "annotations" / "instances_train2017.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["segmentation"] = [[1, 2, 3, 4]]
    path.write_text(json.dumps(content))
    commands.transfer("coco-c4-1x", data=coco_folder, check=True)
    printed = printed_words(capsys)
    assert printed.count("Note: Polygons without three corners are left out") == 1
    assert "not trained on: 1, the first in image 1. Nothing is wrong with them." in printed


def test_everything_wrong_with_the_splits_of_voc_is_listed(devkit: Path, capsys):
    (devkit / "VOC2007" / "JPEGImages" / "test0.jpg").write_bytes(b"")
    (devkit / "VOC2007" / "Annotations" / "trainval1.xml").unlink()
    with pytest.raises(DataError, match="2 things are wrong"):
        commands.transfer("voc07-map", data=devkit, check=True)
    assert "trainval1.xml is missing" in printed_words(capsys)
    with pytest.raises(DataError, match=r"train\.txt is missing|things? (is|are) wrong"):
        commands.transfer("voc07-clsa", data=devkit, check=True)


def test_detection_looks_where_detectron2s_variable_points(coco_folder: Path, devkit: Path, monkeypatch, capsys):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(coco_folder.parent))
    commands.transfer("coco-c4-2x-tenth", check=True)
    assert "Nothing is wrong" in printed_words(capsys)
    monkeypatch.setenv("DETECTRON2_DATASETS", str(devkit))
    commands.transfer("voc07+12-c4-24k", check=True)
    assert "Nothing is wrong" in printed_words(capsys)
    monkeypatch.delenv("DETECTRON2_DATASETS")
    with pytest.raises(UsageError, match=r"coco-c4-1x needs --data, .* or set DETECTRON2_DATASETS"):
        commands.transfer("coco-c4-1x", check=True)
    with pytest.raises(UsageError, match=r"knn needs --data, laid out as DIR/train/<class>/\*\.jpg"):
        commands.transfer("knn", check=True)


def test_without_check_an_encoder_and_a_folder_to_make_are_needed(colours: Path):
    with pytest.raises(UsageError, match="--encoder and --out must be given"):
        commands.transfer("knn", data=colours)
