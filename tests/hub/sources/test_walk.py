"""Folders as disks hold them: links, hidden and system folders, splits in any case, names that are not UTF-8."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from goodviews.hub import DataError, find_images
from goodviews.hub.files.atomic import write_json
from goodviews.hub.files.json_files import Place, read_json
from goodviews.hub.sources.folders import open_folder, part_of, train_and_test, training_root
from goodviews.hub.sources.open import open_data
from goodviews.hub.sources.walk import walk


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(root / name)
    return root


def test_linked_class_folders_are_followed(tmp_path: Path):
    make(tmp_path / "pool", "cat/1.jpg", "dog/deep/2.jpg")
    data = make(tmp_path / "data", "cow/3.jpg")
    (data / "cat").symlink_to("../pool/cat")
    (data / "dog").symlink_to(tmp_path / "pool" / "dog")
    found = open_folder(data)
    assert found.classes == ("cat", "cow", "dog")
    assert [str(path.relative_to(data)) for path in found.all_paths()] == ["cat/1.jpg", "cow/3.jpg", "dog/deep/2.jpg"]


def test_links_that_lead_nowhere_or_back_are_listed_and_the_rest_is_used(tmp_path: Path, caplog):
    make(tmp_path, "x/1.jpg", "y/2.jpg")
    (tmp_path / "x" / "y.jpg").symlink_to("y.jpg")  # to itself
    (tmp_path / "x" / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "x" / "up").symlink_to("..")
    (tmp_path / "y" / "other").symlink_to("../x")  # no loop: another way to x
    assert len(find_images(tmp_path)) == 3
    assert "links that lead nowhere: 4 (x/gone.jpg, x/y.jpg, y/other/gone.jpg, …)" in caplog.text
    assert "links that lead back to a folder they lie in: 2 (x/up, y/other/up)" in caplog.text


def test_the_log_says_once_what_was_left_out(tmp_path: Path, caplog):
    make(tmp_path, "1.jpg")
    for name in ("a.HEIC", "b.heic", "c.cr2"):
        (tmp_path / name).touch()
    find_images(tmp_path)
    find_images(tmp_path)
    [record] = caplog.records
    assert "photos that only other packages read: 1 .cr2 (rawpy), 2 .heic (pillow-heif)" in record.getMessage()


def test_a_folder_of_photos_that_nothing_here_reads_says_what_would(tmp_path: Path):
    for i in range(12):
        (tmp_path / f"{i}.heic").touch()
    with pytest.raises(DataError, match=r"holds no image: 12 files.*12 \.heic \(pillow-heif\); convert them"):
        find_images(tmp_path)


@pytest.mark.parametrize("name", [".hidden", "@eaDir", "__MACOSX", "#recycle", "Lost+Found"])
def test_hidden_and_system_folders_are_no_classes_and_hold_no_photos(tmp_path: Path, name: str):
    make(tmp_path, "cat/1.jpg", "dog/2.jpg", f"{name}/3.jpg", f"cat/{name}/4.jpg")
    found = open_folder(tmp_path)
    assert (found.classes, len(found)) == (("cat", "dog"), 2)
    assert len(find_images(tmp_path / name)) == 1, "whoever names it means it"


def test_pictures_that_goodviews_wrote_into_the_data_are_no_data(tmp_path: Path):
    make(tmp_path, "cat/1.jpg", "runs/samples.png")
    (tmp_path / "runs" / ".goodviews").write_text('{"kind": "result"}', "utf-8")
    assert len(find_images(tmp_path)) == 1


def test_a_closed_folder_is_listed(tmp_path: Path, caplog, monkeypatch):
    make(tmp_path, "cat/1.jpg", "dog/2.jpg")
    scan = os.scandir

    def refuse(path: Path):
        if path.name == "dog":
            raise PermissionError
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert walk(tmp_path).notes() == ["left out, folders that cannot be read: 1 (dog)"]


@pytest.mark.parametrize(("train", "test"), [("Train", "Test"), ("TRAIN", "valid"), ("training", "Testing")])
def test_parts_are_understood_in_any_case(tmp_path: Path, train: str, test: str):
    make(tmp_path, *(f"{part}/{name}/{i}.jpg" for part in (train, test) for name in ("cat", "dog") for i in range(2)))
    data = open_data(tmp_path)
    assert data.test is not None
    assert data.train.classes == data.test.classes == ("cat", "dog")
    assert [part.root.name for part in train_and_test(tmp_path)] == [train, test]


def test_folders_named_like_parts_are_asked_about_and_never_classes(tmp_path: Path):
    make(tmp_path, "seg_train/cat/1.jpg", "seg_test/dog/2.jpg")
    with pytest.raises(DataError, match=r"look like parts of data and not like classes.*--data .*seg_train"):
        open_data(tmp_path)
    make(tmp_path / "coco", "train2017/1.jpg", "val2017/2.jpg")
    with pytest.raises(DataError, match=r"--data .*train2017"):
        open_data(tmp_path / "coco")


def test_two_parts_of_one_name_are_asked_about(tmp_path: Path):
    make(tmp_path, "train/1.jpg", "Train/2.jpg", "val/3.jpg")
    with pytest.raises(DataError, match="holds both Train and train"):
        open_data(tmp_path)


def test_train_alone_is_its_classes(tmp_path: Path):
    make(tmp_path, "Train/cat/1.jpg", "Train/dog/2.jpg")
    (tmp_path / ".DS_Store").touch()
    assert open_data(tmp_path).train.classes == ("cat", "dog")
    make(tmp_path, "bus/3.jpg")
    assert training_root(tmp_path) == tmp_path, "beside other classes it is one"


def test_an_empty_val_does_not_stop_pretraining_and_a_full_test_counts(tmp_path: Path):
    make(tmp_path, "train/cat/1.jpg", "train/dog/2.jpg")
    (tmp_path / "val").mkdir()
    data = open_data(tmp_path)
    assert (data.train.classes, data.test) == (("cat", "dog"), None)
    make(tmp_path, "test/cat/3.jpg", "test/dog/4.jpg")
    assert part_of(tmp_path, ("val", "test")) == tmp_path / "test"
    assert open_data(tmp_path).test is not None


ODD = os.fsdecode(b"caf\xe9")  # Latin-1


def test_names_that_are_not_utf8_are_read_and_survive_json(tmp_path: Path):
    try:
        make(tmp_path, f"{ODD}/{ODD}.jpg", "dog/1.jpg")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    found = open_folder(tmp_path)
    assert sorted(found.classes) == sorted(["dog", ODD])
    assert sorted(path.name for path in found.all_paths()) == sorted(["1.jpg", f"{ODD}.jpg"])
    assert len(found.content()) == 64
    write_json(tmp_path / "about.json", found.describe() | {"é": "é"})
    text = (tmp_path / "about.json").read_text("utf-8")
    assert "caf\\udce9" in text
    assert "é" in text
    assert read_json(Place(tmp_path / "about.json", "make it again"))["classes"] == list(found.classes)
    assert open_folder(tmp_path / ODD).name == r"caf\udce9", "what may be published is plain"
    json.dumps(found.describe())


def test_names_are_the_same_whatever_the_locale(tmp_path: Path):
    make(tmp_path, "straße/ä.jpg")
    script = (
        "import sys; from pathlib import Path; from goodviews.hub.sources.folders import open_folder;"
        "from goodviews.transfer.data_digest import digest_of;"
        "found = open_folder(Path(sys.argv[1])); found.content();"
        "print(found.describe()['names_sha256'], digest_of(found.root, found.all_paths()))"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONUTF8"))}
    odd = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    found = {
        subprocess.run(
            [sys.executable, "-c", script, tmp_path], env=plain | more, capture_output=True, check=True
        ).stdout
        for more in ({"PYTHONUTF8": "1"}, odd)
    }
    assert len(found) == 1
