from pathlib import Path

import pytest
from PIL import Image

from goodviews.hub import DataError, find_images
from goodviews.hub.images import has_image_suffix
from goodviews.hub.output.pictures import write_picture
from goodviews.hub.sources.folders import open_folder, train_and_test, training_root


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(root / name)
    return root


def test_find_images_sorts_recurses_and_leaves_out_what_is_no_image(tmp_path):
    for name in ("b/2.JPG", "a/1.png", "a/notes.txt", ".hidden.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [str(path.relative_to(tmp_path)) for path in find_images(tmp_path)] == ["a/1.png", "b/2.JPG"]


def test_folders_without_images_are_refused_with_what_they_hold(tmp_path):
    with pytest.raises(DataError, match="not a folder"):
        find_images(tmp_path / "none")
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(DataError, match="holds no image: 1 files"):
        find_images(tmp_path)


def test_images_lie_in_the_order_of_their_paths(odd_files, tmp_path):
    names = ("b/1.png", "a-b/1.png", "a/b/1.png", "a/1.png", "a b.png", "ä.png")
    for root in (odd_files, make(tmp_path, *names)):
        every = sorted(path for path in root.rglob("*") if has_image_suffix(path.name) and path.is_file())
        assert find_images(root) == every


def test_class_folders_label_their_images_in_alphabetical_order(tmp_path):
    folder = open_folder(make(tmp_path, "dog/1.jpg", "cat/2.jpg", "cat/deep/3.jpg"))
    assert folder.classes == ("cat", "dog")
    assert folder.labels.tolist() == [0, 0, 1]
    about = folder.describe()
    assert (about["name"], about["images"], about["classes"]) == (tmp_path.name, 3, ["cat", "dog"])
    part = folder.part([2, 0])
    assert ([path.name for path in part.all_paths()], part.labels.tolist()) == (["1.jpg", "2.jpg"], [1, 0])


def test_images_beside_class_folders_make_the_folder_flat(tmp_path):
    assert open_folder(make(tmp_path, "dog/1.jpg", "2.jpg")).labels is None


def test_only_the_train_part_of_a_split_is_learned_from(tmp_path):
    make(tmp_path, "train/cat/1.jpg", "train/dog/2.jpg", "val/cat/3.jpg")
    assert len(open_folder(training_root(tmp_path))) == 2
    make(tmp_path / "other", "train/1.jpg", "bus/2.jpg")
    assert open_folder(training_root(tmp_path / "other")).classes == ("bus", "train"), "a class may be called train"


def test_test_labels_are_numbered_as_the_train_labels(tmp_path):
    make(tmp_path, "train/ant/1.jpg", "train/bee/2.jpg", "train/cat/3.jpg", "test/cat/4.jpg")
    train, test = train_and_test(tmp_path)
    assert (train.classes, test.labels.tolist()) == (("ant", "bee", "cat"), [2])


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


def test_a_picture_that_a_command_drew_among_photos_is_no_photo(tmp_path: Path):
    paint = Image.new("RGB", (8, 8), "teal")
    for name in ("a/0.png", "b/0.png"):
        (tmp_path / name).parent.mkdir()
        paint.save(tmp_path / name)
    before = open_folder(tmp_path).describe()
    write_picture(paint, tmp_path / "a" / "views.png")
    assert open_folder(tmp_path).describe() == before
