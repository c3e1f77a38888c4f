"""Photos in two classes, as files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random, root = np.random.default_rng(0), tmp_path_factory.mktemp("data") / "photos"
    for number in range(60):
        path = root / ("dark", "bright")[number % 2] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = random.integers(0, 120, (16, 16, 3)) + 100 * (number % 2)
        Image.fromarray(image.astype(np.uint8)).save(path)
    return root
