"""Data have a name that tells them apart, and digests of what is in them."""

import shutil
from pathlib import Path

import pytest

from goodviews.hub.sources.open import open_data
from goodviews.pretrain.data.describe_data import SAMPLE, data_name, describe_data


def make(place: Path, images: Path) -> Path:
    """The photos of `images` in another folder."""
    shutil.copytree(images, place)
    return place


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("flowers", "flowers"),
        ("flowers/train", "flowers/train"),
        ("flowers/images/train", "flowers/images/train"),
        ("flowers/Images", "flowers/Images"),
        ("home/anna/train", "train"),
        ("home/anna/data/train", "data/train"),
    ],
)
def test_the_name_ends_where_a_folder_says_which_data_it_is(tmp_path: Path, images: Path, place: str, name: str):
    folder = make(tmp_path / place, images)
    assert data_name(folder, open_data(folder).train) == name


def test_the_training_part_of_a_folder_is_named_with_it(tmp_path: Path, images: Path):
    for part in ("train", "val"):
        make(tmp_path / "flowers" / part, images)
    assert data_name(tmp_path / "flowers", open_data(tmp_path / "flowers").train) == "flowers/train"


def test_a_list_is_named_after_its_folder_too(tmp_path: Path, images: Path):
    folder = make(tmp_path / "flowers", images)
    (folder / "train.txt").write_text("class0/00.png\nclass0/01.png\n")
    assert data_name(folder / "train.txt", open_data(folder / "train.txt").train) == "flowers/train.txt"


def test_a_moved_folder_is_known_again_and_other_photos_under_the_same_names_are_not(tmp_path: Path, images: Path):
    first, second = make(tmp_path / "a", images), make(tmp_path / "b", images)
    one, other = (describe_data(folder, open_data(folder).train) for folder in (first, second))
    assert (one.pop("name"), other.pop("name")) == ("a", "b")
    assert one == other
    shutil.copy(second / "class1" / "00.png", second / "class0" / "00.png")
    changed = describe_data(second, open_data(second).train)
    assert changed["names_sha256"] == one["names_sha256"]
    assert changed[SAMPLE] != one[SAMPLE]
