"""A small labelled folder of made-up photos, and a run on it that takes a second or two."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goodviews.pretrain.choose import choose
from goodviews.pretrain.recipe import Recipe


def write_images(folder: Path, *, classes: int = 2, each: int = 8) -> Path:
    """FOLDER/<class>/NN.png: a gradient in the class's colour with noise of its own."""
    draw = np.random.default_rng(0)
    ramp = np.linspace(0, 1, 40)[:, None, None]
    for label in range(classes):
        (folder / f"class{label}").mkdir(parents=True)
        for number in range(each):
            colour = np.eye(3)[label] * 160
            image = ramp * colour + draw.integers(0, 90, (40, 40, 3))
            Image.fromarray(image.astype(np.uint8)).save(folder / f"class{label}" / f"{number:02}.png")
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory) -> Path:
    """16 images in two classes: 4 steps an epoch at a batch of 4."""
    return write_images(tmp_path_factory.mktemp("data") / "images")


@pytest.fixture(scope="session")
def smoke() -> Recipe:
    """infomin_smoke with timm's smallest ResNet, for two epochs: 8 steps."""
    return replace(choose("infomin_smoke"), architecture="test_resnet", epochs=2)
