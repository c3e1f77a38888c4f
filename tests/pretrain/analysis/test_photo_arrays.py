import shutil
from pathlib import Path

import pytest
from PIL import Image

from goodviews.hub.errors import DataError
from goodviews.pretrain.analysis.photo_arrays import read_photos


def test_photos_become_squares_with_a_quarter_held_out(folder: Path):
    photos = read_photos(str(folder), px=48, least_px=8, most=100)
    assert photos.train.images.shape == (44, 3, 16, 16)  # no larger than the photos are
    assert len(photos.test) == 16
    assert photos.classes == {"class": 2}
    assert photos.about == read_photos(str(folder), px=48, least_px=8, most=100).about


def test_labels_are_needed_for_scores_and_only_for_them(folder: Path, tmp_path: Path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in folder.rglob("*.png"):
        shutil.copyfile(path, flat / path.name)
    with pytest.raises(DataError, match="has no labels"):
        read_photos(str(flat), px=16, least_px=8, most=100)
    assert len(read_photos(str(flat), px=16, least_px=8, most=100, needs_labels=False).train) == 45


def test_one_class_and_too_few_photos_are_refused(folder: Path, tmp_path: Path):
    shutil.copytree(folder / "flat", tmp_path / "one" / "flat")
    with pytest.raises(DataError, match="one class, flat"):
        read_photos(str(tmp_path / "one"), px=16, least_px=8, most=100)
    with pytest.raises(DataError, match=r"has 1. photos to learn from and . to test on"):
        read_photos(str(folder), px=16, least_px=8, most=18)


def test_of_one_class_nothing_is_scored(folder: Path, tmp_path: Path):
    (tmp_path / "one" / "striped").mkdir(parents=True)
    for path in folder.rglob("*.png"):
        shutil.copyfile(path, tmp_path / "one" / "striped" / path.name)
    assert read_photos(str(tmp_path / "one"), px=16, least_px=8, most=100, needs_labels=False).classes == {}


def test_a_photo_that_cannot_be_read_is_left_out_and_counted(folder: Path, tmp_path: Path, caplog):
    broken = shutil.copytree(folder, tmp_path / "broken")
    next((broken / "flat").glob("*.png")).write_bytes(b"no photo")
    Image.new("L", (3, 3)).save(broken / "flat" / "small.png")
    photos = read_photos(str(broken), px=16, least_px=8, most=100)
    assert len(photos.train) + len(photos.test) == 60
    assert "1 of 61 photos could not be read" in caplog.text
