"""Photos made of colour and stripes: two classes that a small network tells apart after a few steps."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from goodviews.pretrain.analysis.photo_arrays import PhotoSet, SplitPhotos


def make_photos(count: int, px: int, seed: int) -> PhotoSet:
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = random.integers(0, 120, (count, 3, 1, 1)) + random.integers(0, 40, (count, 3, px, px))
    stripes = np.arange(px) // 2 % 2 * 90
    images = images + np.where(labels[:, None, None, None] == 1, stripes[None, None, :, None], stripes)
    return PhotoSet(torch.from_numpy(images.astype(np.uint8)), {"class": torch.from_numpy(labels)})


@pytest.fixture(scope="session")
def split() -> SplitPhotos:
    about = {"name": "stripes", "train": 48, "test": 24, "px": 16, "digest": "0"}
    return SplitPhotos(make_photos(48, 16, 0), make_photos(24, 16, 1), {"class": 2}, about)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as files: 60 photos in two classes."""
    root = tmp_path_factory.mktemp("data") / "stripes"
    photos = make_photos(60, 16, 2)
    for number, (image, label) in enumerate(zip(photos.images, photos.labels["class"], strict=True)):
        path = root / ("flat", "upright")[int(label)] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    return root
