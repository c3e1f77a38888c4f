"""Crops made where the network is, of photos decoded once."""

import torch

from goodviews.hub.sources.files import Files
from goodviews.pretrain.data import device_crops
from goodviews.pretrain.data.decoded_cache import decode_photos
from goodviews.pretrain.data.device_crops import PhotosOnDevice
from goodviews.pretrain.data.loader import Batch, ViewLoader
from goodviews.pretrain.views.operations import Flip, Normalize
from goodviews.pretrain.views.view import CentreCrop, RandomResizedCrop, View

VIEWS = (
    View("query", RandomResizedCrop(48, (0.2, 1.0)), (Flip(), Normalize())),
    View("key", RandomResizedCrop(32, (0.05, 0.4), interpolation="bicubic"), (Flip(), Normalize())),
)


def batches(source: Files, **options) -> list[Batch]:
    loader = ViewLoader(source, VIEWS, batch_size=3, seed=1, workers=options.pop("workers", 0), **options)
    return [batch for epoch in range(2) for batch in loader.epoch(epoch)]


def test_crops_made_on_a_device_agree_with_those_of_a_worker(odd_photos):
    """Here the device is the CPU: the arithmetic is the same."""
    photos = decode_photos(odd_photos, "memory")
    there = batches(odd_photos, decoded=photos, on_device=PhotosOnDevice(photos, "cpu"))
    for mine, other in zip(there, batches(odd_photos, decoded=photos), strict=True):
        assert torch.equal(mine.samples, other.samples)
        for view in VIEWS:
            levels = (mine.views[view.name] - other.views[view.name]).abs() * 0.229 * 255
            assert levels.max() < 2.1
            assert levels.mean() < 0.15


def test_crops_of_a_batch_may_be_made_in_parts(odd_photos, monkeypatch):
    photos = PhotosOnDevice(decode_photos(odd_photos, "memory"), "cpu")
    samples, boxes = torch.tensor([0, 1, 2]), torch.tensor([[0, 0, 90, 70], [5, 9, 200, 100], [1, 1, 30, 31]])
    whole = photos.crops(samples, boxes, VIEWS[0].crop)
    monkeypatch.setattr(device_crops, "_PIXELS_AT_ONCE", 1)
    assert (photos.crops(samples, boxes, VIEWS[0].crop).int() - whole.int()).abs().max() <= 1


def test_middles_of_decoded_photos_are_the_same_wherever_they_are_cropped(odd_photos):
    photos = decode_photos(odd_photos, "memory")
    middle = View("middle", CentreCrop(40), (Normalize(),))
    ways = ({}, {"decoded": photos}, {"decoded": photos, "on_device": PhotosOnDevice(photos, "cpu")})
    loaders = [ViewLoader(odd_photos, VIEWS, batch_size=4, seed=1, workers=0, **way) for way in ways]
    shown = [torch.cat([batch.views["middle"] for batch in loader.in_order(middle)]) for loader in loaders]
    assert (shown[0] - shown[1]).abs().mean() < 0.1  # a file may be decoded at a fraction of its size
    assert (shown[1] - shown[2]).abs().max() < 0.05  # two levels of 8 bits
