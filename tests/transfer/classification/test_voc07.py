import copy
import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from goodviews.hub.backbone import build_backbone
from goodviews.hub.comparison.tables import compare, read_runs
from goodviews.hub.encoder import Encoder, Origin
from goodviews.hub.errors import DataError, UsageError
from goodviews.hub.scoring.average_precision import class_average_precision
from goodviews.transfer.classification.voc07_clsa import CropsForTest, VocClsa, training_transform, voc07_clsa
from goodviews.transfer.classification.voc07_labels import read_labels
from goodviews.transfer.classification.voc07_map import voc07_map, voc07_map_logistic
from goodviews.transfer.task import Setup

from ..conftest import add_photo

SMALL = ["px=32", "test_short_side_px=36", "epochs=3", "batch_size=4"]


@pytest.fixture
def squares(tmp_path):
    """VOC2007 with 6 train, 4 val and 5 test photos; the first half of each shows red, the others blue."""
    root = tmp_path / "squares"
    for split, count in (("train", 6), ("val", 4), ("test", 5)):
        names = [f"{split}{number}" for number in range(count)]
        for number, name in enumerate(names):
            colour = "red" if number < count / 2 else "blue"
            add_photo(root / "VOC2007", name, {colour: (5, 5, 90, 66)})
        write_list(root, split, names)
    write_list(root, "trainval", [f"train{n}" for n in range(6)] + [f"val{n}" for n in range(4)])
    return root


def write_list(root, split, names):
    listing = root / "VOC2007" / "ImageSets" / "Main" / f"{split}.txt"
    listing.parent.mkdir(parents=True, exist_ok=True)
    listing.write_text("".join(f"{name}\n" for name in names))


def make_difficult(root, name):
    annotation = root / "VOC2007" / "Annotations" / f"{name}.xml"
    annotation.write_text(annotation.read_text().replace("<difficult>0", "<difficult>1"))


def test_difficult_objects_are_no_labels(squares):
    make_difficult(squares, "test0")
    test = read_labels(squares, train=("trainval",), test="test").splits["test"]
    assert test.present.tolist() == [[False, False], [False, True], [False, True], [True, False], [True, False]]
    assert test.difficult[0].tolist() == [False, True]


@pytest.mark.parametrize("make", [voc07_map, voc07_map_logistic])
def test_colours_are_distinguished_by_the_map_of_classes(make, encoder, squares, tmp_path):
    report = make().run(encoder, squares, tmp_path / "run")
    assert report.metrics["mAP"] == 100.0
    assert set(report.details["AP_of_class"]) == {"red", "blue"}
    assert report.dataset["trainval_images"] == 10
    assert (tmp_path / "run" / "scores.csv").read_text().splitlines()[0] == "photo,blue,red"


def test_encoders_are_compared_on_equal_draws_of_test_photos_and_scores_keep_their_digits(encoder, squares, tmp_path):
    noise = np.random.default_rng(0)
    for photo in sorted((squares / "VOC2007" / "JPEGImages").iterdir()):
        Image.fromarray(noise.integers(0, 255, (72, 96, 3)).astype(np.uint8)).save(photo)
    torch.manual_seed(1)
    other = Encoder(build_backbone("resnet18"), encoder.preprocessing, Origin("other"))
    runs = [tmp_path / "one", tmp_path / "other"]
    reports = [
        voc07_map().with_changes(["c=1.0"]).run(one, squares, out)
        for one, out in zip((encoder, other), runs, strict=True)
    ]
    assert all(one.metrics["mAP_low"] <= one.metrics["mAP"] <= one.metrics["mAP_high"] for one in reports)
    table = compare(read_runs(runs), baseline="other").tables[0]
    assert {row.interval for row in table.rows} == {"95 % bootstrap over test photos"}
    [difference] = [row.differences["mAP"] for row in table.rows if row.differences]
    assert difference.test == "paired bootstrap, 300 draws of test images"
    assert 0 < difference.p <= 1
    test = read_labels(squares, train=("trainval",), test="test").splits["test"]
    with (runs[0] / "scores.csv").open() as file:
        scores = np.array([[float(line["blue"]), float(line["red"])] for line in csv.DictReader(file)])
    again = [class_average_precision(scores[:, k], test.present[:, k]) for k in (0, 1)]
    assert np.mean(again) == pytest.approx(reports[0].metrics["mAP"] / 100, abs=1e-12)
    assert not np.array_equal(scores, scores.round(4))


def test_a_photo_with_only_difficult_objects_of_a_class_is_left_out_of_its_test(encoder, squares, tmp_path):
    add_photo(squares / "VOC2007", "test9", {"red": (5, 5, 90, 66)})
    make_difficult(squares, "test9")
    write_list(squares, "test", [*(f"test{n}" for n in range(5)), "test9"])
    assert voc07_map().with_changes(["c=[1.0]"]).run(encoder, squares, tmp_path / "run").metrics["mAP"] == 100.0


def test_one_c_is_taken_as_it_is(encoder, squares, tmp_path):
    report = voc07_map().with_changes(["c=[0.5]"]).run(encoder, squares, tmp_path / "run")
    assert set(report.details["C_of_class"].values()) == {0.5}
    with pytest.raises(UsageError, match=r"c is \[\]; it must be numbers above 0"):
        voc07_map().with_changes(["c=[]"]).run(encoder, squares, tmp_path / "other")


def test_published_settings_are_the_published_ones():
    settings = VocClsa()
    assert (settings.lr, settings.batch_size, settings.epochs, settings.momentum) == (0.05, 16, 100, 0.9)
    assert (settings.px, settings.test_short_side_px, settings.flip, settings.rotation_degrees) == (300, 330, 0.25, 25)
    assert (settings.mean, settings.std) == ((0.4573, 0.4388, 0.4073), (0.2675, 0.2638, 0.2777))
    assert len(voc07_map().measure.c) == 19


def test_training_photos_are_squeezed_and_test_photos_cut():
    photo = Image.new("RGB", (500, 375), "white")
    assert training_transform(VocClsa())(photo).shape == (3, 300, 300)
    assert CropsForTest(VocClsa(), five=True)(photo).shape == (5, 3, 300, 300)
    assert CropsForTest(VocClsa(), five=False)(photo).shape == (1, 3, 300, 300)
    plain = replace(VocClsa(), brightness=(1.0, 1.0), grey=0.0, rotation_degrees=0.0)
    expected = (1 - torch.tensor(plain.mean)) / torch.tensor(plain.std)
    torch.testing.assert_close(training_transform(plain)(photo)[:, 0, 0], expected)


def test_clsa_task_ranks_labels_of_images_and_leaves_the_encoder_alone(encoder, squares, tmp_path):
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    report = voc07_clsa().with_changes(SMALL).run(encoder, squares, tmp_path / "run")
    assert report.primary == "per_image_AP"
    assert 50 <= report.metrics["per_image_AP"] <= 100
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    values = [row["val_per_image_AP"] for row in rows]
    assert report.details["reported_epoch"] == 1 + int(np.argmax(values))
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert not encoder.training
    with (tmp_path / "run" / "predictions.csv").open() as file:
        each = [float(line["per_image_AP"]) for line in csv.DictReader(file)]
    assert np.mean(each) == pytest.approx(report.metrics["per_image_AP"])


def test_equal_seeds_give_equal_numbers(encoder, squares, tmp_path):
    task = voc07_clsa().with_changes([*SMALL[:2], "epochs=1", "batch_size=4"])
    runs = [task.run(encoder, squares, tmp_path / name, setup=Setup(seed=3)) for name in ("a", "b")]
    assert runs[0].metrics == runs[1].metrics
    assert runs[0].details == runs[1].details


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "VOC2007" / "ImageSets" / "Main" / "val.txt").unlink(), r"val\.txt is missing"),
        (lambda root: write_list(root, "val", ["train0"]), r"train0 is in both train\.txt and val\.txt"),
        (lambda root: write_list(root, "train", ["train0"]), "shows the class 'blue', which no photo of the train"),
        (lambda root: [make_difficult(root, f"test{n}") for n in range(5)], "nothing can be measured"),
        (lambda root: cut_short(root / "VOC2007" / "JPEGImages" / "train1.jpg"), r"train1\.jpg is damaged"),
    ],
    ids=["no split", "photo twice", "unknown class", "nothing counts", "damaged photo"],
)
def test_bad_data_is_refused_and_nothing_is_written(spoil, message, encoder, squares, tmp_path):
    spoil(squares)
    with pytest.raises(DataError, match=message):
        voc07_clsa().with_changes(SMALL).run(encoder, squares, tmp_path / "out" / "run")
    assert not list((tmp_path / "out").iterdir())


def cut_short(photo):
    photo.write_bytes(photo.read_bytes()[:-400])


def test_clsas_script_reads_12_bit_photos_by_the_range_of_the_encoder(encoder, squares, tmp_path):
    task = voc07_clsa().with_changes([change for change in SMALL if change != "epochs=3"] + ["epochs=1"])
    for path in (squares / "VOC2007" / "JPEGImages").iterdir():
        gray = np.asarray(Image.open(path).convert("L"))
        Image.fromarray(gray).save(path, "PNG")
    plain = task.run(encoder, squares, tmp_path / "plain").metrics
    for path in (squares / "VOC2007" / "JPEGImages").iterdir():
        Image.fromarray(np.asarray(Image.open(path), np.uint16) * 16).save(path, "PNG")
    with pytest.raises(DataError, match="nothing says which is white"):
        task.run(encoder, squares, tmp_path / "scans")
    declared = copy.deepcopy(encoder)
    declared.declare_values((0, 255 * 16))
    assert task.run(declared, squares, tmp_path / "scans").metrics == plain
