"""Photos decoded once: the same crops wherever they are kept, and what the keeping refuses."""

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from goodviews.hub.errors import DataError, UsageError
from goodviews.hub.images import read_image
from goodviews.hub.sources.files import Files
from goodviews.hub.sources.folders import open_folder
from goodviews.pretrain.data import decoded_cache as kept
from goodviews.pretrain.data.decode import resized_crop
from goodviews.pretrain.data.decoded_cache import keep_photos
from goodviews.pretrain.data.device_crops import PhotosOnDevice
from goodviews.pretrain.data.loader import Batch, ViewLoader
from goodviews.pretrain.training import loop
from goodviews.pretrain.views.operations import Flip, Normalize
from goodviews.pretrain.views.view import CentreCrop, RandomResizedCrop, View

VIEWS = (
    View("query", RandomResizedCrop(48, (0.2, 1.0)), (Flip(), Normalize())),
    View("key", RandomResizedCrop(32, (0.05, 0.4), interpolation="bicubic"), (Flip(), Normalize())),
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GOODVIEWS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def source(photos: list[Path], tmp_path: Path) -> Files:
    """The photos of the tests, one of them turned by its EXIF, and a file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in photos:
        (folder / path.name).symlink_to(path)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(photos[0]).save(folder / "turned.jpg", exif=exif)
    (folder / "broken.jpg").write_text("no image")
    return open_folder(folder)


def batches(source: Files, **options) -> list[Batch]:
    loader = ViewLoader(source, VIEWS, batch_size=3, seed=1, workers=options.pop("workers", 0), **options)
    return [batch for epoch in range(2) for batch in loader.epoch(epoch)]


def assert_same(ours: list[Batch], theirs: list[Batch]) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine.samples, other.samples)
        assert all(torch.equal(mine.views[view.name], other.views[view.name]) for view in VIEWS)


def test_kept_photos_are_whole_upright_and_in_their_places(source):
    photos = keep_photos(source, "memory")
    for position in range(len(source)):
        if source.place(position).endswith("broken.jpg"):
            with pytest.raises(DataError, match=r"broken.jpg is not an image"):
                photos.photo(position)
        else:
            assert np.array_equal(photos.photo(position), np.asarray(read_image(source.path(position))))


def test_crops_are_those_that_the_recipe_draws_from_the_kept_photo(source):
    photos, crop = keep_photos(source, "memory", short_px=100), VIEWS[0].crop
    row = np.random.default_rng(0).random(crop.width)
    for position in (0, 1, 2):
        small = kept.shortened(read_image(source.path(position)), 100)
        assert min(small.size) == 100
        expected = resized_crop(np.array(small), crop.box(*small.size, row), crop)
        assert torch.equal(photos.read(position, [crop], [row])[0], expected)


def test_memory_and_disk_show_the_same_for_any_number_of_workers(source, tmp_path):
    alone = batches(source, kept=keep_photos(source, "memory"))
    assert_same(batches(source, kept=keep_photos(source, "memory", workers=2), workers=2), alone)
    on_disk = keep_photos(source, "disk")
    assert_same(batches(source, kept=on_disk, workers=1), alone)
    travelled = pickle.dumps(on_disk)
    assert len(travelled) < 10_000  # no photo in it
    assert_same(batches(source, kept=pickle.loads(travelled)), alone)


def test_disk_is_filled_once_and_anew_when_a_photo_changes(source, tmp_path, monkeypatch):
    decoded, decode = [], kept._decode_all
    monkeypatch.setattr(kept, "_decode_all", lambda *given: decoded.append(1) or decode(*given))
    first, again = (keep_photos(source, "disk") for _ in range(2))
    assert len(decoded) == 1
    assert np.array_equal(first.photo(1), again.photo(1))
    assert first.reasons == again.reasons
    os.utime(source.path(0))
    keep_photos(source, "disk")
    keep_photos(source, "disk", short_px=64)
    assert len(decoded) == 3


def test_a_full_disk_leaves_nothing_behind(source, cache, monkeypatch):
    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept, "_decode_all", full)
    with pytest.raises(Exception, match="No space left"):
        keep_photos(source, "disk")
    assert list((cache / "photos").iterdir()) == []


def test_photos_that_do_not_fit_are_refused_before_they_are_decoded(source, monkeypatch):
    monkeypatch.setattr(kept, "free_memory_bytes", lambda: 1_000_000)
    with pytest.raises(UsageError, match=r"takes about 0.0 GB and memory has 0.0 GB free; keep them smaller"):
        keep_photos(source, "memory")


def test_long_run_on_few_photos_is_told_that_they_would_fit(source, monkeypatch):
    assert "would decode them once instead of 800 times" in (kept.hint(source, 800) or "")
    assert kept.hint(source, 10) is None
    monkeypatch.setattr(kept, "free_memory_bytes", lambda: 1_000_000)
    assert kept.hint(source, 800) is None


def test_photos_fill_several_blocks(source, monkeypatch):
    whole = keep_photos(source, "memory")
    monkeypatch.setattr(kept, "_BLOCK", 1_000_000)
    parts = keep_photos(source, "memory")
    assert len(parts.blocks) > 2
    assert_same(batches(source, kept=parts), batches(source, kept=whole))
    assert_same(
        batches(source, kept=parts, on_device=PhotosOnDevice(parts, "cpu")),
        batches(source, kept=whole, on_device=PhotosOnDevice(whole, "cpu")),
    )


def test_crops_made_on_a_device_agree_with_those_of_a_worker(source):
    """Here the device is the CPU: the arithmetic is the same."""
    photos = keep_photos(source, "memory")
    there = batches(source, kept=photos, on_device=PhotosOnDevice(photos, "cpu"))
    for mine, other in zip(there, batches(source, kept=photos), strict=True):
        assert torch.equal(mine.samples, other.samples)
        for view in VIEWS:
            levels = (mine.views[view.name] - other.views[view.name]).abs() * 0.229 * 255
            assert levels.max() < 2.1
            assert levels.mean() < 0.15


def test_crops_of_a_batch_may_be_made_in_parts(source, monkeypatch):
    from goodviews.pretrain.data import device_crops

    photos = PhotosOnDevice(keep_photos(source, "memory"), "cpu")
    samples, boxes = torch.tensor([0, 1, 2]), torch.tensor([[0, 0, 90, 70], [5, 9, 200, 100], [1, 1, 30, 31]])
    whole = photos.crops(samples, boxes, VIEWS[0].crop)
    monkeypatch.setattr(device_crops, "_PIXELS_AT_ONCE", 1)
    assert (photos.crops(samples, boxes, VIEWS[0].crop).int() - whole.int()).abs().max() <= 1


def test_middles_of_kept_photos_are_the_same_wherever_they_are_cropped(source):
    photos = keep_photos(source, "memory")
    middle = View("middle", CentreCrop(40), (Normalize(),))
    shown = [
        torch.cat([batch.views["middle"] for batch in loader.in_order(middle)])
        for loader in (
            ViewLoader(source, VIEWS, batch_size=4, seed=1, workers=0),
            ViewLoader(source, VIEWS, batch_size=4, seed=1, workers=0, kept=photos),
            ViewLoader(
                source, VIEWS, batch_size=4, seed=1, workers=0, kept=photos, on_device=PhotosOnDevice(photos, "cpu")
            ),
        )
    ]
    assert (shown[0] - shown[1]).abs().mean() < 0.1  # a file may be decoded at a fraction of its size
    assert (shown[1] - shown[2]).abs().max() < 0.05  # two levels of 8 bits


@pytest.mark.precision
def test_run_with_kept_photos_says_so_and_is_continued_with_them_only(images, smoke, tmp_path):
    short = replace(smoke, epochs=1)
    loop.pretrain(short, images, tmp_path / "run", knn_every=0, keep="memory", keep_px=32)
    loop.pretrain(short, images, tmp_path / "disk", knn_every=0, keep="disk", keep_px=32)
    weights = [(tmp_path / run / "encoder" / "model.safetensors").read_bytes() for run in ("run", "disk")]
    assert weights[0] == weights[1]
    config = json.loads((tmp_path / "run" / "encoder" / "config.json").read_text())
    assert config["goodviews"]["dataset"]["kept"] == {"short_px": 32, "crops_by": "cpu"}
    with pytest.raises(UsageError, match=r"was begun with data.kept"):
        loop.pretrain(short, images, tmp_path / "run", resume=True)


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
        loop.pretrain(smoke, images, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()
