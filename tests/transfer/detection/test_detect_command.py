"""`goodviews detect`: objects in photos, as a table, pictures or JSON, or one sentence on what is wrong."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from goodviews.hub.backbone import build_backbone
from goodviews.hub.cli import run
from goodviews.hub.encoder import Preprocessing
from goodviews.hub.errors import ArtifactError, DataError, OutputExists, UsageError
from goodviews.transfer.datasets.labelled_photos import Rle
from goodviews.transfer.datasets.masks import decode
from goodviews.transfer.detection.load_detector import load_detector
from goodviews.transfer.detection.voc import voc_detection_smoke
from goodviews.transfer.torchvision_engine.detector import TorchvisionDetector
from goodviews.transfer.torchvision_engine.network import build_detector


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that has learned nothing and so finds something everywhere, with masks."""
    torch.manual_seed(0)
    settings = replace(voc_detection_smoke().measure, masks=True, min_score=0.0, detections_per_photo=3)
    network = build_detector(build_backbone("test_resnet"), Preprocessing(), 2, settings)
    folder = tmp_path_factory.mktemp("run")
    return TorchvisionDetector(network, ("cat", "dog"), "test_resnet", Preprocessing(), settings).save(folder)


def test_detector_of_a_narrow_network_is_loaded_again(tmp_path: Path):
    narrow = build_backbone("resnet18", width=0.125)
    settings = replace(voc_detection_smoke().measure, min_score=0.0, detections_per_photo=3)
    network = build_detector(narrow, Preprocessing(), 2, settings).eval()
    made = TorchvisionDetector(network, ("cat", "dog"), "resnet18", Preprocessing(), settings, narrow.model_args)
    again = load_detector(made.save(tmp_path))
    assert json.loads((tmp_path / "detector.json").read_text())["model_args"] == {"channels": [8, 16, 32, 64]}
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8))
    np.testing.assert_array_equal(again.detect(photo).boxes, made.detect(photo).boxes)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    pixels = np.random.default_rng(0).integers(0, 255, (90, 120, 3)).astype(np.uint8)
    paths = [tmp_path / "one.jpg", tmp_path / "two.jpg"]
    for path in paths:
        Image.fromarray(pixels).save(path)
    return paths


def command(*words: object) -> None:
    run(["detect", *map(str, words)])


def test_a_photo_becomes_a_table_and_a_picture(trained: Path, photos: list[Path], tmp_path: Path, capsys):
    command(trained, photos[0], "--out", tmp_path / "boxes.png", "--min-score", 0.01)
    printed = capsys.readouterr().out
    assert "one.jpg" in printed
    assert sum(printed.count(name) for name in ("cat", "dog")) == 3
    assert "boxes.png" in "".join(printed.split())
    assert Image.open(tmp_path / "boxes.png").size == (640, 480)


def test_several_photos_become_a_folder_of_pictures(trained: Path, photos: list[Path], tmp_path: Path, capsys):
    command(trained, *photos, "--out", tmp_path / "pictures")
    assert sorted(path.name for path in (tmp_path / "pictures").glob("*.png")) == ["one.png", "two.png"]
    assert "nothing with a score of 0.5 or more" in " ".join(capsys.readouterr().out.split())


def test_json_has_boxes_and_masks_in_pixels_of_the_photo(trained: Path, photos: list[Path], capsys):
    command(trained, photos[0], "--json", "--min-score", 0)
    [entry] = json.loads(capsys.readouterr().out)
    assert entry["photo"] == str(photos[0])
    assert len(entry["found"]) == 3
    for thing in entry["found"]:
        assert thing["class"] in ("cat", "dog")
        assert 0 <= thing["box"][0] < thing["box"][2] <= 120
        assert decode(Rle(tuple(thing["mask"]["size"]), thing["mask"]["counts"]), 90, 120).shape == (90, 120)


def test_what_is_wrong_is_reported_before_anything_is_written(trained: Path, photos: list[Path], tmp_path: Path):
    one, two = photos
    (tmp_path / "there.png").write_bytes(b"mine")
    (tmp_path / "broken.jpg").write_bytes(one.read_bytes()[:400])
    out = ["--out", tmp_path / "new.png"]
    for words, error, message in [
        ((tmp_path, one, *out), ArtifactError, r"detector\.json is missing; give the folder of a finished detection"),
        ((trained, tmp_path / "none.jpg", *out), DataError, r"none\.jpg"),
        ((trained, tmp_path / "broken.jpg", *out), DataError, r"broken\.jpg"),
        ((trained, one, "--out", tmp_path / "there.png"), OutputExists, r"there\.png"),
        ((trained, one, "--out", tmp_path / "new.tiff"), UsageError, r"let it end in \.png or \.jpg"),
        ((trained, one, two, *out), UsageError, "2 are given; give a folder's name"),
        ((trained, one, two, "--out", tmp_path / "new.gif"), UsageError, "2 are given; give a folder's name"),
        ((trained, one, one, "--out", tmp_path / "new"), UsageError, "Two photos have the same name"),
        ((trained, one, "--min-score", 2), UsageError, r"--min-score is 2\.0; it must be 0 to 1"),
    ]:
        with pytest.raises(error, match=message):
            command(*words)
    assert (tmp_path / "there.png").read_bytes() == b"mine"
    assert not list(tmp_path.glob("new*"))
