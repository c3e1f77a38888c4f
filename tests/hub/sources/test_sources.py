"""Folders, lists, shards and Hugging Face datasets: the same photos are the same batches, wherever they lie."""

import csv
import io
import json
import os
import pickle
import tarfile
from pathlib import Path

import pytest
import torch

from goodviews.hub.errors import DataError, MissingExtra
from goodviews.hub.folders import image_folder
from goodviews.hub.sources import files, shards
from goodviews.hub.sources.files import open_folder
from goodviews.hub.sources.open import open_data
from goodviews.hub.sources.packed_names import Names
from goodviews.hub.sources.source import Source, read_photo
from goodviews.pretrain.data.loader import ViewLoader
from goodviews.pretrain.training import loop
from goodviews.pretrain.views.operations import Flip, Normalize
from goodviews.pretrain.views.view import RandomResizedCrop, View

VIEWS = (View("query", RandomResizedCrop(16, (0.4, 1.0)), (Flip(), Normalize())),)
LONG_AGO = 1_600_000_000


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GOODVIEWS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def shown(source: Source, *, epoch: int = 0, start_step: int = 0) -> list[torch.Tensor]:
    loader = ViewLoader(source, VIEWS, batch_size=4, seed=1, workers=0)
    return [batch.views["query"] for batch in loader.epoch(epoch, start_step)]


def assert_same(ours: Source, theirs: Source) -> None:
    assert len(ours) == len(theirs)
    assert list(ours.labels) == list(theirs.labels)
    assert all(torch.equal(a, b) for a, b in zip(shown(ours), shown(theirs), strict=True))


def write_shards(folder: Path, images: Path, *, each: int = 6) -> Path:
    """The photos of a labelled folder in its order, `each` to a shard, a .cls before or after its photo."""
    folder.mkdir()
    photos = open_folder(images)
    for number, first in enumerate(range(0, len(photos), each)):
        with tarfile.open(folder / f"photos-{number:03}.tar", "w") as tar:
            for i in range(first, min(first + each, len(photos))):
                members = [(f"{i:06}.png", photos.path(i).read_bytes()), (f"{i:06}.cls", b"%d" % photos.labels[i])]
                members.append((f"{i:06}.json", b"{}"))
                for name, content in members if i % 2 else members[::-1]:
                    info = tarfile.TarInfo(f"a.folder/{name}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return folder


def test_folder_is_found_as_the_rest_of_the_project_finds_it(images, odd_files, tmp_path):
    for root in (images, odd_files):
        ours, theirs = open_folder(root), image_folder(root)
        assert [ours.path(i) for i in range(len(ours))] == list(theirs.paths)
        assert ours.classes == theirs.classes
        assert (None if ours.labels is None else tuple(ours.labels)) == theirs.labels


def test_split_folder_gives_the_train_part_and_its_val_part_to_test_on(images, tmp_path):
    for part in ("train", "val"):
        (tmp_path / part).symlink_to(images)
    data = open_data(tmp_path)
    assert (len(data.train), len(data.test)) == (16, 16)
    assert data.train.place(0).startswith(str(tmp_path / "train"))
    assert open_data(images).test is None


@pytest.mark.parametrize("suffix", ["txt", "tsv", "csv", "csv with header"])
def test_list_of_files_shows_what_their_folder_shows(suffix, images, tmp_path):
    folder = open_folder(images)
    rows = [(os.path.relpath(folder.path(i), tmp_path), folder.classes[folder.labels[i]]) for i in range(len(folder))]
    path = tmp_path / f"list.{suffix[:3]}"
    with path.open("w", newline="") as stream:
        if suffix[:3] == "csv":
            rows = [("path", "label"), *rows] if "header" in suffix else rows
            csv.writer(stream).writerows(rows)
        else:
            stream.writelines(("\t" if suffix == "tsv" else " ").join(row) + "\n" for row in rows)
    assert_same(open_data(path).train, folder)


def test_list_without_labels_may_name_files_with_blanks(images, tmp_path):
    (tmp_path / "a photo.png").write_bytes(open_folder(images).path(0).read_bytes())
    (tmp_path / "list.txt").write_text(f"a photo.png\n\n{open_folder(images).path(1)}\n")
    source = open_data(tmp_path / "list.txt").train
    assert source.labels is None
    assert read_photo(source, 0).size == read_photo(source, 1).size == (40, 40)
    assert source.describe()["name"] == "list.txt"


def test_numbers_as_labels_are_sorted_as_numbers(images, tmp_path):
    photo = open_folder(images).path(0)
    (tmp_path / "list.txt").write_text("".join(f"{photo} {label}\n" for label in (10, 9, 2)))
    assert open_data(tmp_path / "list.txt").train.classes == ("2", "9", "10")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"names no image"),
        ("words in a line\n", r"line 1: words in a line is not the path of an image"),
        ("a.png x\nb.png\n", r"has a label in line 1, but none in line 2"),
        ("none.png\n", r"line 1: .*none.png is no file; paths start at the list's folder"),
    ],
)
def test_list_that_is_none_is_refused_in_one_sentence(text, sentence, tmp_path):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(DataError, match=sentence):
        open_data(tmp_path / "list.txt")


def test_shards_show_what_their_folder_shows_from_any_step_on(images, tmp_path):
    folder, source = open_folder(images), open_data(write_shards(tmp_path / "shards", images)).train
    assert_same(source, folder)
    for start in (1, 3):
        theirs = shown(folder, epoch=2)[start:]
        assert all(torch.equal(a, b) for a, b in zip(shown(source, epoch=2, start_step=start), theirs, strict=True))
    assert source.place(7).endswith("photos-001.tar/a.folder/000007.png")
    assert_same(pickle.loads(pickle.dumps(source)), folder)


def test_run_on_shards_continues_bit_for_bit_in_mid_epoch(images, smoke, tmp_path, monkeypatch):
    data = str(write_shards(tmp_path / "shards", images) / "photos-{000..002}.tar")
    loop.pretrain(smoke, data, tmp_path / "whole", knn_every=0)
    step = loop._step

    def step_or_stop(run, batch):
        if run.state.step == 6:
            raise KeyboardInterrupt
        return step(run, batch)

    monkeypatch.setattr(loop, "_step", step_or_stop)
    with pytest.raises(KeyboardInterrupt):
        loop.pretrain(smoke, data, tmp_path / "broken", knn_every=0, save_every=5)
    monkeypatch.undo()
    loop.pretrain(smoke, data, tmp_path / "broken", knn_every=0, resume=True)
    weights = [(tmp_path / run / "encoder" / "model.safetensors").read_bytes() for run in ("whole", "broken")]
    assert weights[0] == weights[1]


def test_shards_of_the_webdataset_library_are_read(images, tmp_path):
    webdataset = pytest.importorskip("webdataset")
    folder = open_folder(images)
    with webdataset.ShardWriter(str(tmp_path / "photos-%03d.tar"), maxcount=5, verbose=0) as sink:
        for i in range(len(folder)):
            sample = {"__key__": f"{i:06}", "png": folder.path(i).read_bytes(), "cls": int(folder.labels[i])}
            sink.write(sample)
    assert_same(open_data(str(tmp_path / "photos-*.tar")).train, folder)


def test_shard_that_is_cut_short_or_compressed_is_refused(images, tmp_path):
    shard = write_shards(tmp_path / "shards", images) / "photos-000.tar"
    (tmp_path / "half.tar").write_bytes(shard.read_bytes()[:700])
    with pytest.raises(DataError, match=r"half.tar is not a whole tar of"):
        open_data(tmp_path / "half.tar")
    (tmp_path / "a.tar.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"is compressed"):
        open_data(tmp_path / "a.tar.gz")
    with pytest.raises(DataError, match=r"photos-003.tar does not exist"):
        open_data(tmp_path / "shards" / "photos-{000..003}.tar")
    source = open_data(shard).train
    os.truncate(shard, int(source.members[4, 1]) + 10)
    loader = ViewLoader(source, VIEWS, batch_size=6, seed=0, workers=0)
    list(loader.epoch(0))
    assert any("000004.png is cut short" in reason for _, reason in loader.skipped)


def hugging_face(images: Path, folder: Path, **splits: slice) -> Path:
    datasets = pytest.importorskip("datasets")
    photos = open_folder(images)
    features = datasets.Features({"photo": datasets.Image(), "kind": datasets.ClassLabel(names=list(photos.classes))})

    def table(part: slice):
        chosen = range(len(photos))[part]
        content = [{"bytes": photos.path(i).read_bytes(), "path": None} for i in chosen]
        return datasets.Dataset.from_dict({"photo": content, "kind": [int(photos.labels[i]) for i in chosen]}, features)

    tables = {name: table(part) for name, part in splits.items()}
    (datasets.DatasetDict(tables) if len(tables) > 1 else next(iter(tables.values()))).save_to_disk(folder)
    return folder


def test_hugging_face_dataset_shows_what_its_folder_shows(images, tmp_path):
    source = open_data(f"hf:{hugging_face(images, tmp_path / 'mine', train=slice(None))}").train
    assert_same(source, open_folder(images))
    assert_same(pickle.loads(pickle.dumps(source)), open_folder(images))
    about = source.describe()
    assert (about["name"], about["images"], about["classes"]) == ("mine", 16, ["class0", "class1"])
    assert str(tmp_path) not in json.dumps(about)


def test_split_of_a_hugging_face_dataset_is_chosen_by_name(images, tmp_path):
    folder = hugging_face(images, tmp_path / "mine", train=slice(0, None, 2), test=slice(1, None, 2))
    data = open_data(f"hf:{folder}")
    assert (len(data.train), len(data.test)) == (8, 8)
    assert open_data(f"hf:{folder}:test").train.place(3) == "hf:mine:test, row 3"
    with pytest.raises(DataError, match=r"has no split dev; it has train, test"):
        open_data(f"hf:{folder}:dev")
    with pytest.raises(DataError, match=r"hf:.*none cannot be opened"):
        open_data(f"hf:{tmp_path / 'none'}")


def test_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r'needs datasets, .* pip install "goodviews\[data\]"'):
        open_data("hf:some/photos")


def test_unreadable_photos_of_every_source_are_listed_by_their_place(images, tmp_path):
    photo = open_folder(images).path(0).read_bytes()
    (tmp_path / "folder").mkdir()
    contents = {"0.png": photo, "1.png": b"no image", "2.png": photo}
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, content in contents.items():
            (tmp_path / "folder" / name).write_bytes(content)
            tar.add(tmp_path / "folder" / name, name)
    (tmp_path / "list.txt").write_text("".join(f"folder/{name}\n" for name in contents))
    for data, place in (("folder", "folder/1.png"), ("a.tar", "a.tar/1.png"), ("list.txt", "folder/1.png")):
        loader = ViewLoader(open_data(tmp_path / data).train, VIEWS, batch_size=3, seed=0, workers=0)
        list(loader.epoch(0))
        assert [path for path, _ in loader.skipped] == [str(tmp_path / place)]


def many(root: Path, count: int = 3000) -> Path:
    for number in range(count):
        folder = root / f"class{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:05}.jpg").touch()
    settle(root)
    return root


def settle(root: Path) -> None:
    """As if nothing had been changed for years."""
    for folder in (root, *(path for path in root.iterdir() if path.is_dir())):
        os.utime(folder, (LONG_AGO, LONG_AGO))


def test_large_folder_is_listed_once_and_a_file_that_is_added_or_removed_is_noticed(tmp_path, monkeypatch):
    root, listed = many(tmp_path / "many"), []
    listing = files._listed
    monkeypatch.setattr(files, "_listed", lambda folder: listed.append(folder) or listing(folder))
    first, second = open_folder(root), open_folder(root)
    assert len(listed) == 1
    assert list(first.names) == list(second.names) == sorted(first.names)
    assert (second.labels == first.labels).all()
    assert first.describe() == second.describe()
    (root / "class1" / "new.jpg").touch()
    assert len(open_folder(root)) == 3001
    (root / "class1" / "00001.jpg").unlink()
    assert len(open_folder(root)) == 3000
    assert len(listed) == 3


def test_listing_of_a_folder_that_was_just_changed_is_not_trusted(tmp_path, cache):
    """Its time may not show a second change within one tick of the file system's clock."""
    root = many(tmp_path / "many", 1000)
    os.utime(root / "class2")
    open_folder(root)
    assert not cache.exists()


def test_damaged_cache_and_one_that_cannot_be_written_cost_nothing_but_time(tmp_path, cache, caplog):
    root = many(tmp_path / "many", 1000)
    open_folder(root)
    (kept,) = (cache / "listings").iterdir()
    kept.write_bytes(b"half a file")
    assert len(open_folder(root)) == 1000
    kept.unlink()
    kept.parent.rmdir()
    kept.parent.write_text("a file where the folder should be")
    assert len(open_folder(root)) == 1000
    assert "is not kept for next time" in caplog.text


def test_shard_is_listed_once_and_again_when_it_is_replaced(images, tmp_path, monkeypatch):
    folder, listed = write_shards(tmp_path / "shards", images), []
    for shard in folder.iterdir():
        os.utime(shard, (LONG_AGO, LONG_AGO))
    listing = shards._listed
    monkeypatch.setattr(shards, "_listed", lambda shard: listed.append(shard.name) or listing(shard))
    assert open_data(folder).train.describe() == open_data(folder).train.describe()
    assert len(listed) == 3
    (folder / "photos-001.tar").write_bytes((folder / "photos-001.tar").read_bytes())
    open_data(folder)
    assert listed[3:] == ["photos-001.tar"]


def test_names_of_any_kind_come_back_as_they_were():
    names = ["a b.jpg", "ä/ö.jpg", "line\nfeed.jpg", os.fsdecode(b"\xff.jpg"), ""]
    assert list(Names.of(names)) == names
