"""`goodviews transfer TASK --check`: everything that is wrong with a folder, before anything is trained."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goodviews.hub.errors import DataError, OutputExists, UsageError
from goodviews.transfer import commands
from goodviews.transfer.copies import note_copies
from goodviews.transfer.data_check import ClassCount, doubts_about
from goodviews.transfer.datasets.photo_table import pack
from goodviews.transfer.datasets.voc import read_voc
from goodviews.transfer.detection.labels_page import choose_photos

from .conftest import add_photo


def printed_words(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_a_sound_folder_is_counted(colours: Path, devkit: Path, coco_folder: Path, capsys):
    commands.transfer("linear", data=colours, check=True)
    assert (
        "18 training and 9 test images of 3 classes. class training test blue 6 3 green 6 3 red 6 3 Nothing is wrong"
        in printed_words(capsys)
    )
    commands.transfer("voc-detection", data=devkit, check=True)
    assert "6 training photos with 12 objects and 3 test photos with 6 objects of 2 classes." in printed_words(capsys)
    commands.transfer("coco-fpn-1x", data=coco_folder, check=True)
    assert "6 training photos with 13 objects and 3 test photos with 4 objects of 2 classes." in printed_words(capsys)
    commands.transfer("voc07-map", data=devkit, check=True)
    assert (
        "9 photos in the splits trainval, test of VOC2007. class training test blue 6 3 red 6 3 Nothing"
        in printed_words(capsys)
    )


def test_classes_are_counted_and_a_misspelt_or_rare_one_is_doubted(devkit: Path, capsys):
    path = devkit / "VOC2007" / "Annotations" / "trainval0.xml"
    path.write_text(path.read_text().replace("blue", "bleu"))
    for number in range(6, 16):
        add_photo(devkit / "VOC2007", f"trainval{number}", {"red": (5, 9, 34, 38 + number), "blue": (50, 20, 89, 59)})
        with (devkit / "VOC2007" / "ImageSets" / "Main" / "trainval.txt").open("a") as listing:
            listing.write(f"trainval{number}\n")
    commands.transfer("voc-detection", data=devkit, check=True)
    printed = printed_words(capsys)
    assert "red 16 3 blue 15 3 bleu 1 0" in printed
    assert "Doubt: 'bleu' (1 in training, 0 in test) is named almost like 'blue' (15 in training, 3 in test)" in printed
    assert "Labelled once in training, too little to learn: bleu." in printed
    assert "Labelled in no test photo, so that no score tells of them: bleu." in printed
    assert "Look at the doubts" in printed


def test_names_that_differ_in_case_or_signs_are_doubted_and_others_are_not():
    counts = {"Hot-Dog": 4, "hot dog": 5, "cat": 4, "cats": 5}
    [doubt] = doubts_about([ClassCount(name, number, number) for name, number in counts.items()])
    assert doubt.startswith("'Hot-Dog' (4 in training, 4 in test) is named almost like 'hot dog'")


def test_copies_between_training_and_test_are_found_by_their_bytes(devkit: Path, coco_folder: Path, capsys):
    photos = devkit / "VOC2007" / "JPEGImages"
    (photos / "test1.jpg").write_bytes((photos / "trainval3.jpg").read_bytes())
    (photos / "trainval5.jpg").write_bytes((photos / "trainval4.jpg").read_bytes())
    for task in ("voc-detection", "voc07-map"):
        with pytest.raises(DataError, match="One thing is wrong"):
            commands.transfer(task, data=devkit, check=True)
        assert re.search(r"test1\.jpg is the training photo \S+trainval3\.jpg too", printed_words(capsys))
    (coco_folder / "val2017" / "000002.jpg").write_bytes((coco_folder / "train2017" / "000004.jpg").read_bytes())
    with pytest.raises(DataError, match="One thing is wrong"):
        commands.transfer("coco-c4-1x", data=coco_folder, check=True)
    assert "000002.jpg is the training photo" in printed_words(capsys)


def test_ids_that_occur_twice_are_named(coco_folder: Path, capsys):
    path = coco_folder / "annotations" / "instances_train2017.json"
    content = json.loads(path.read_text())
    content["annotations"][1]["id"] = content["annotations"][0]["id"]
    content["images"].append(content["images"][2])
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="2 things are wrong"):
        commands.transfer("coco-c4-1x", data=coco_folder, check=True)
    printed = printed_words(capsys)
    assert "gives the id 3 to 2 images" in printed
    assert "gives the id 1 to 2 annotations" in printed


def test_no_training_photos_are_called_so(devkit: Path, capsys):
    (devkit / "VOC2007" / "ImageSets" / "Main" / "trainval.txt").write_text("")
    with pytest.raises(DataError, match="wrong"):
        commands.transfer("voc-detection", data=devkit, check=True)
    assert "no training photos with 0 objects and 3 test photos with 6 objects of no classes." in printed_words(capsys)


def test_labels_are_drawn_before_any_training(coco_folder: Path, devkit: Path, colours: Path, tmp_path: Path, capsys):
    for task, data in (("coco-fpn-1x", coco_folder), ("voc-detection", devkit)):
        out = tmp_path / f"{task}.png"
        commands.transfer(task, data=data, check=True, draw=out)
        assert f"Picture: {out}" in capsys.readouterr().out
        colours_seen = {colour for _, colour in Image.open(out).convert("RGB").getcolors(10**7)}
        assert len(colours_seen) > 1000
        with pytest.raises(OutputExists):
            commands.transfer(task, data=data, check=True, draw=out)
    with pytest.raises(UsageError, match=r"--draw draws the labels that --check reads"):
        commands.transfer("voc-detection", data=devkit, draw=tmp_path / "no.png")
    with pytest.raises(UsageError, match=r"The labels of knn cannot be drawn"):
        commands.transfer("knn", data=colours, check=True, draw=tmp_path / "no.png")
    assert not (tmp_path / "no.png").exists()


def test_the_rarest_class_is_among_the_photos_that_are_drawn(devkit: Path):
    squares = read_voc(devkit)
    rare = [replace(photo, objects=photo.objects[:1]) for photo in squares.train[:5]]
    last = replace(squares.train[5], objects=(replace(squares.train[5].objects[0], name="rare"),))
    assert choose_photos(pack([*rare, last]), ["red", "rare"], 2)[0] == last


def test_everything_wrong_with_a_folder_of_images_is_listed(colours: Path, capsys):
    (colours / "train" / "red" / "0.png").write_bytes(b"no image")
    (colours / "val" / "blue" / "1.png").write_bytes((colours / "train" / "blue" / "4.png").read_bytes())
    with pytest.raises(DataError, match=r"2 things are wrong with .*colours; nothing was trained"):
        commands.transfer("knn", data=colours, check=True)
    printed = printed_words(capsys)
    assert "0.png is not an image that Pillow can read" in printed
    assert "blue/1.png is the training photo" in printed


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


def make_scans(folder: Path) -> None:
    """Every photo below a folder becomes 12-bit values in a 16-bit file of its name."""
    for path in [*folder.rglob("*.jpg"), *folder.rglob("*.png")]:
        with Image.open(path) as photo:
            gray = np.asarray(photo.convert("L"), np.uint16)
        Image.fromarray(gray * 16).save(path, "PNG")


@pytest.mark.parametrize("task", ["knn", "voc-detection", "coco-fpn-1x", "voc07-map"])
def test_a_declared_range_of_values_reads_12_bit_photos_and_without_one_they_are_named(
    task: str, colours: Path, devkit: Path, coco_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data = {"knn": colours, "coco-fpn-1x": coco_folder}.get(task, devkit)
    make_scans(data)
    with pytest.raises(DataError, match="things are wrong"):
        commands.transfer(task, data=data, check=True)
    assert "--values 0..4095 of goodviews pretrain and transfer" in printed_words(capsys)
    commands.transfer(task, data=data, check=True, values="0..4095")
    assert "Nothing is wrong with them." in printed_words(capsys)
    commands.transfer(task, data=data, check=True, encoder="random:resnet18-w0.25-32px#values=0..4095")
    assert "Nothing is wrong with them." in printed_words(capsys)
    if task == "voc-detection":
        commands.transfer(task, data=data, check=True, values="0..4095", draw=tmp_path / "labels.png")
        assert (tmp_path / "labels.png").is_file()


def test_a_range_declared_for_a_measurement_is_as_one_behind_the_encoders_name(colours: Path, tmp_path: Path, capsys):
    make_scans(colours)
    name = "random:resnet18-w0.25-32px"
    commands.transfer("knn", encoder=name, data=colours, out=tmp_path / "one", values="0..4095")
    commands.transfer("knn", encoder=f"{name}#values=0..4095", data=colours, out=tmp_path / "other")
    one, other = (json.loads((tmp_path / run / "report.json").read_text()) for run in ("one", "other"))
    assert (one["metrics"], one["encoder"]) == (other["metrics"], other["encoder"])
    assert one["dataset"]["skipped_images"] == 0
    with pytest.raises(UsageError, match="no range of values"):
        commands.transfer("knn", encoder=name, data=colours, out=tmp_path / "third", values="4095")


@pytest.mark.parametrize("task", ["knn", "retrieval", "linear-moco", "finetune", "voc07-map"])
def test_test_photos_that_were_trained_on_are_counted_in_the_report_and_said(
    task: str, colours: Path, devkit: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    if task == "voc07-map":
        data, photos = devkit, devkit / "VOC2007" / "JPEGImages"
        shutil.copy(photos / "trainval0.jpg", photos / "test0.jpg")
    else:
        data = colours
        shutil.copy(colours / "train" / "red" / "0.png", colours / "val" / "red" / "1.png")
    changes = ["epochs=1", "batch_size=9"] if task in ("linear-moco", "finetune") else []
    encoder = "random:resnet18-w0.25-32px"
    commands.transfer(task, encoder=encoder, data=data, out=tmp_path / "run", set=changes)
    assert json.loads((tmp_path / "run" / "report.json").read_text())["details"]["test_photos_in_training"] == 1
    count = 3 if task == "voc07-map" else 9
    assert f"1 of {count} test photos are training photos too, byte for byte" in caplog.text


def test_photos_of_equal_size_that_differ_late_are_no_copies(tmp_path: Path):
    one, other = tmp_path / "a.jpg", tmp_path / "b.jpg"
    one.write_bytes(bytes(9000))
    other.write_bytes(bytes(8999) + b"1")
    assert note_copies([one], [other]) == {}
    assert note_copies([one], [one]) == {}  # a photo under one path in both parts is another problem
