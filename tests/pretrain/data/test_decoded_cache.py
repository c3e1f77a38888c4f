"""Photos decoded once: the same crops from memory and from disk, and what is refused."""

import json
import os
import pickle
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from goodviews.hub.errors import DataError, UsageError
from goodviews.hub.images import read_image
from goodviews.hub.sources.files import Files
from goodviews.pretrain.data import decoded_cache
from goodviews.pretrain.data.decode import resized_crop, shorten
from goodviews.pretrain.data.decoded_cache import decode_photos
from goodviews.pretrain.data.device_crops import PhotosOnDevice
from goodviews.pretrain.data.loader import Batch, ViewLoader
from goodviews.pretrain.options import Options
from goodviews.pretrain.training import loop
from goodviews.pretrain.views.operations import Flip, Normalize
from goodviews.pretrain.views.view import RandomResizedCrop, View

VIEWS = (
    View("query", RandomResizedCrop(48, (0.2, 1.0)), (Flip(), Normalize())),
    View("key", RandomResizedCrop(32, (0.05, 0.4), interpolation="bicubic"), (Flip(), Normalize())),
)


def batches(source: Files, **options) -> list[Batch]:
    loader = ViewLoader(source, VIEWS, batch_size=3, seed=1, workers=options.pop("workers", 0), **options)
    return [batch for epoch in range(2) for batch in loader.epoch(epoch)]


def assert_same(ours: list[Batch], theirs: list[Batch]) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine.samples, other.samples)
        assert all(torch.equal(mine.views[view.name], other.views[view.name]) for view in VIEWS)


def test_decoded_photos_are_whole_upright_and_in_their_places(odd_photos):
    photos = decode_photos(odd_photos, "memory")
    for position in range(len(odd_photos)):
        if odd_photos.place(position).endswith("broken.jpg"):
            with pytest.raises(DataError, match=r"broken.jpg is not an image"):
                photos.photo(position)
        else:
            assert np.array_equal(photos.photo(position), np.asarray(read_image(odd_photos.path(position))))


def test_photos_in_shared_memory_are_mapped_by_another_process_and_end_with_the_last(odd_photos):
    alone, shared = decode_photos(odd_photos, "memory"), decode_photos(odd_photos, "memory", is_shared=True)
    code = f"import numpy; print(numpy.memmap({str(shared.file)!r}, numpy.uint8, mode='c').sum())"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(seen) == sum(int(block.sum()) for block in alone.blocks)
    assert np.array_equal(shared.photo(0), alone.photo(0))
    number = int(shared.file.name)
    del shared
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_crops_are_those_that_the_recipe_draws_from_the_decoded_photo(odd_photos):
    photos, crop = decode_photos(odd_photos, "memory", short_px=100), VIEWS[0].crop
    row = np.random.default_rng(0).random(crop.width)
    for position in (0, 1, 2):
        small = shorten(read_image(odd_photos.path(position)), 100)
        assert min(small.size) == 100
        expected = resized_crop(np.array(small), crop.box(*small.size, row), crop)
        assert torch.equal(photos.read(position, [crop], [row])[0], expected)


def test_memory_and_disk_show_the_same_for_any_number_of_workers(odd_photos, tmp_path):
    alone = batches(odd_photos, decoded=decode_photos(odd_photos, "memory"))
    assert_same(batches(odd_photos, decoded=decode_photos(odd_photos, "memory", workers=2), workers=2), alone)
    on_disk = decode_photos(odd_photos, "disk")
    assert_same(batches(odd_photos, decoded=on_disk, workers=1), alone)
    pickled = pickle.dumps(on_disk)
    assert len(pickled) < 10_000  # no photo in it
    assert_same(batches(odd_photos, decoded=pickle.loads(pickled)), alone)


def test_disk_is_filled_once_and_anew_when_a_photo_changes(odd_photos, tmp_path, monkeypatch):
    passes, decode = [], decoded_cache._decode_all
    monkeypatch.setattr(decoded_cache, "_decode_all", lambda *given: passes.append(1) or decode(*given))
    first, again = (decode_photos(odd_photos, "disk") for _ in range(2))
    assert len(passes) == 1
    assert np.array_equal(first.photo(1), again.photo(1))
    assert first.reasons == again.reasons
    os.utime(odd_photos.path(0))
    decode_photos(odd_photos, "disk")
    decode_photos(odd_photos, "disk", short_px=64)
    assert len(passes) == 3


def test_a_full_disk_leaves_nothing_behind(odd_photos, cache, monkeypatch):
    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(decoded_cache, "_decode_all", full)
    with pytest.raises(Exception, match="No space left"):
        decode_photos(odd_photos, "disk")
    assert list((cache / "photos").iterdir()) == []


def test_photos_fill_several_blocks(odd_photos, monkeypatch):
    whole = decode_photos(odd_photos, "memory")
    monkeypatch.setattr(decoded_cache, "_BLOCK", 1_000_000)
    parts = decode_photos(odd_photos, "memory")
    assert len(parts.blocks) > 2
    assert_same(batches(odd_photos, decoded=parts), batches(odd_photos, decoded=whole))
    assert_same(
        batches(odd_photos, decoded=parts, on_device=PhotosOnDevice(parts, "cpu")),
        batches(odd_photos, decoded=whole, on_device=PhotosOnDevice(whole, "cpu")),
    )


@pytest.mark.precision
def test_run_on_decoded_photos_records_it_and_continues_on_them_only(images, smoke, tmp_path):
    short = replace(smoke, epochs=1)
    loop.pretrain(short, images, tmp_path / "run", Options(knn_every=0, keep="memory", keep_px=32))
    loop.pretrain(short, images, tmp_path / "disk", Options(knn_every=0, keep="disk", keep_px=32))
    weights = [(tmp_path / run / "encoder" / "model.safetensors").read_bytes() for run in ("run", "disk")]
    assert weights[0] == weights[1]
    config = json.loads((tmp_path / "run" / "encoder" / "config.json").read_text())
    assert config["goodviews"]["dataset"]["kept"] == {"short_px": 32, "crops_by": "cpu"}
    with pytest.raises(UsageError, match=r"was started with data.kept"):
        loop.pretrain(short, images, tmp_path / "run", Options(resume=True))


@pytest.mark.precision
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"keep": "gpu", "device": "cpu"}, r"this run has no GPU"),
        ({"keep_px": 100}, r"give --keep memory, disk or gpu with it"),
        ({"keep": "memory", "keep_px": 0}, r"1 pixel or more"),
    ],
)
def test_keeping_that_cannot_be_is_refused_before_anything_is_written(options, sentence, images, smoke, tmp_path):
    with pytest.raises(UsageError, match=sentence):
        loop.pretrain(smoke, images, tmp_path / "run", Options(**options))
    assert not (tmp_path / "run").exists()


def test_of_two_runs_that_fill_the_cache_at_once_one_decodes_and_the_other_waits(odd_photos, tmp_path, monkeypatch):
    decode, calls, found = decoded_cache._decode_all, [], []

    def count(*given):
        calls.append(given)
        time.sleep(0.3)  # long enough for the other to come
        return decode(*given)

    monkeypatch.setattr(decoded_cache, "_decode_all", count)
    fill = lambda: found.append(decode_photos(odd_photos, "disk", folder=tmp_path / "cache"))  # noqa: E731
    threads = [threading.Thread(target=fill) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert np.array_equal(found[0].photo(0), found[1].photo(0))
    assert not list((tmp_path / "cache").glob(".*"))
