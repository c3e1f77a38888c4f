from pathlib import Path

import pytest
from PIL import Image

from goodviews.hub import DataError
from goodviews.hub.folders import image_folder, train_and_test, training_folder


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(root / name)
    return root


def test_class_folders_label_their_images_in_alphabetical_order(tmp_path):
    folder = image_folder(make(tmp_path, "dog/1.jpg", "cat/2.jpg", "cat/deep/3.jpg"))
    assert folder.classes == ("cat", "dog")
    assert folder.labels == (0, 0, 1)
    assert folder.describe() == {"name": tmp_path.name, "images": 3, "classes": ["cat", "dog"]}


def test_images_beside_class_folders_make_the_folder_flat(tmp_path):
    assert image_folder(make(tmp_path, "dog/1.jpg", "2.jpg")).labels is None


def test_only_the_train_part_of_a_split_is_learned_from(tmp_path):
    make(tmp_path, "train/cat/1.jpg", "train/dog/2.jpg", "val/cat/3.jpg")
    assert len(training_folder(tmp_path)) == 2
    make(tmp_path / "other", "train/1.jpg", "bus/2.jpg")
    assert training_folder(tmp_path / "other").classes == ("bus", "train"), "a class may be called train"


def test_test_labels_are_numbered_as_the_train_labels(tmp_path):
    make(tmp_path, "train/ant/1.jpg", "train/bee/2.jpg", "train/cat/3.jpg", "test/cat/4.jpg")
    train, test = train_and_test(tmp_path)
    assert (train.classes, test.labels) == (("ant", "bee", "cat"), (2,))


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("cat/1.jpg",), "must hold train/<class>/ and val/<class>/"),
        (("train/1.jpg", "val/cat/2.jpg"), "outside class folders"),
        (("train/cat/1.jpg", "val/cat/2.jpg"), "one class"),
        (("train/cat/1.jpg", "train/dog/2.jpg", "val/cow/3.jpg"), "has the class cow"),
    ],
)
def test_splits_that_cannot_be_scored_are_refused(tmp_path, names, sentence):
    with pytest.raises(DataError, match=sentence):
        train_and_test(make(tmp_path, *names))
