"""Tar shards: the same photos are the same batches, from any step on."""

import io
import json
import os
import pickle
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest
import torch

from goodviews.hub.errors import DataError
from goodviews.hub.sources import shards
from goodviews.hub.sources.folders import open_folder
from goodviews.hub.sources.open import open_data
from goodviews.pretrain.options import Options
from goodviews.pretrain.training import loop

LONG_AGO = 1_600_000_000


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


def test_shards_show_what_their_folder_shows_from_any_step_on(images, tmp_path, shown, assert_same):
    folder, source = open_folder(images), open_data(write_shards(tmp_path / "shards", images)).train
    assert_same(source, folder)
    for start in (1, 3):
        theirs = shown(folder, epoch=2)[start:]
        assert all(torch.equal(a, b) for a, b in zip(shown(source, epoch=2, start_step=start), theirs, strict=True))
    assert source.place(7).endswith("photos-001.tar/a.folder/000007.png")
    assert_same(pickle.loads(pickle.dumps(source)), folder)


@pytest.mark.precision
def test_run_on_shards_continues_bit_for_bit_in_mid_epoch(images, smoke, tmp_path, monkeypatch):
    data = str(write_shards(tmp_path / "shards", images) / "photos-{000..002}.tar")
    loop.pretrain(smoke, data, tmp_path / "whole", Options(knn_every=0))
    step = loop._step

    def step_or_stop(run, batch):
        if run.state.step == 6:
            raise KeyboardInterrupt
        return step(run, batch)

    monkeypatch.setattr(loop, "_step", step_or_stop)
    with pytest.raises(KeyboardInterrupt):
        loop.pretrain(smoke, data, tmp_path / "broken", Options(knn_every=0, save_every=5))
    monkeypatch.undo()
    loop.pretrain(smoke, data, tmp_path / "broken", Options(knn_every=0, resume=True))
    weights = [(tmp_path / run / "encoder" / "model.safetensors").read_bytes() for run in ("whole", "broken")]
    assert weights[0] == weights[1]


def test_shards_of_the_webdataset_library_are_read(images, tmp_path, assert_same):
    webdataset = pytest.importorskip("webdataset")
    folder = open_folder(images)
    with webdataset.ShardWriter(str(tmp_path / "photos-%03d.tar"), maxcount=5, verbose=0) as sink:
        for i in range(len(folder)):
            sample = {"__key__": f"{i:06}", "png": folder.path(i).read_bytes(), "cls": int(folder.labels[i])}
            sink.write(sample)
    assert_same(open_data(str(tmp_path / "photos-*.tar")).train, folder)


def test_shard_that_is_cut_short_or_compressed_is_refused(images, tmp_path, unreadable):
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
    assert any("000004.png is cut short" in reason for _, reason in unreadable(source, 6))


def test_shard_is_listed_once_and_again_when_it_is_replaced(images, tmp_path, monkeypatch):
    folder, listed = write_shards(tmp_path / "shards", images), []
    for shard in folder.iterdir():
        os.utime(shard, (LONG_AGO, LONG_AGO))
    listing = shards._list_members
    monkeypatch.setattr(shards, "_list_members", lambda shard, file: listed.append(shard.name) or listing(shard, file))
    assert open_data(folder).train.describe() == open_data(folder).train.describe()
    assert len(listed) == 3
    (folder / "photos-001.tar").write_bytes((folder / "photos-001.tar").read_bytes())
    open_data(folder)
    assert listed[3:] == ["photos-001.tar"]


@pytest.fixture
def address(images: Path, tmp_path: Path) -> Iterator[str]:
    """Three shards in fsspec's store in memory."""
    store = fsspec.filesystem("memory")
    for shard in write_shards(tmp_path / "shards", images).iterdir():
        store.pipe_file(f"/bucket/photos/{shard.name}", shard.read_bytes())
    yield "memory://bucket/photos"
    store.rm("/bucket", recursive=True)


@pytest.mark.parametrize("end", ["", "/*.tar", "/photos-{000..002}.tar"])
def test_shards_at_an_address_show_what_their_folder_shows(address, end, images, assert_same):
    source = open_data(address + end).train
    assert_same(source, open_folder(images))
    assert_same(pickle.loads(pickle.dumps(source)), open_folder(images))
    assert source.place(7).endswith("bucket/photos/photos-001.tar/a.folder/000007.png")
    assert source.describe()["shards"] == 3


def test_shard_at_an_address_is_listed_once_and_again_when_it_is_replaced(address, monkeypatch):
    listed, honest = [], shards._list_members
    monkeypatch.setattr(shards, "_list_members", lambda shard, file: listed.append(shard.name) or honest(shard, file))
    before = open_data(address).train.content()
    open_data(address)
    assert listed == ["photos-000.tar", "photos-001.tar", "photos-002.tar"]
    store = fsspec.filesystem("memory")
    store.pipe_file("/bucket/photos/photos-002.tar", store.cat_file("/bucket/photos/photos-001.tar"))
    assert open_data(address).train.content() != before
    assert listed[3:] == ["photos-002.tar"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("memory://nowhere/a.tar", r"nowhere/a.tar cannot be read \("),
        ("memory://nowhere/a.tar.gz", r"a.tar.gz is no plain .tar; give the address of shards, or of their folder"),
        ("nothing://bucket/a.tar", r"nothing://bucket/a.tar cannot be read \(Protocol not known: nothing"),
    ],
)
def test_address_that_holds_no_shards_is_refused_in_a_sentence(wrong, message):
    with pytest.raises(DataError, match=message):
        open_data(wrong)


def test_run_reads_its_photos_at_an_address(address, images, smoke, tmp_path):
    loop.pretrain(replace(smoke, epochs=1), address, tmp_path / "run", Options(precision="fp32", knn_every=0))
    described = json.loads((tmp_path / "run" / "recipe.json").read_text())["data"]
    assert (described["name"], described["images"]) == ("photos", len(open_folder(images)))
