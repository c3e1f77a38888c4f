"""The photos on which an exported file must agree with PyTorch: every shape that trips a resize, and real ones."""

from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from PIL import Image

from ...hub.deep_pixels import Values
from ...hub.errors import DataError
from ...hub.images import SkippedImages, read_image
from ...hub.sources.folders import find_images

SIZES = (  # width, height: at and around the usual 256, odd differences, portrait, panorama, tiny
    *((224, 224), (256, 256), (257, 301), (255, 254), (320, 240), (333, 500), (500, 375)),
    *((683, 1024), (640, 91), (64, 511), (97, 41), (31, 64), (8, 8), (1, 3)),
)
BUNDLED = 6
USERS = 100


def trial_photos() -> list[Image.Image]:
    """One synthetic RGB image of each size in SIZES, then a few of the photos that goodviews ships; always the same."""
    generator = np.random.default_rng(0)
    with as_file(files("goodviews.hub") / "photos") as folder:
        bundled = [read_image(path) for path in _evenly(find_images(folder), BUNDLED)]
    return [_textured(size, generator) for size in SIZES] + bundled


def users_photos(folder: Path, skipped: SkippedImages, *, values: Values | None = None) -> list[Image.Image]:
    """Up to USERS photos spread over a folder; unreadable ones are noted in `skipped`.

    Args:
        values: of photos of more than 8 bits, which are black and white; see `hub.deep_pixels`.

    Raises:
        DataError: the folder has no readable image.
    """
    photos = []
    for path in _evenly(find_images(folder), USERS):
        try:
            photos.append(read_image(path, values=values))
        except DataError as error:
            skipped.add(path, str(error))
    if not photos:
        raise DataError(
            f"None of the images in {folder} can be read ({len(skipped)} tried). The first: {skipped.items[0][1]}"
        )
    return photos


def _evenly(paths: list[Path], count: int) -> list[Path]:
    return [paths[position] for position in sorted(set(np.linspace(0, len(paths) - 1, count).astype(int)))]


def _textured(size: tuple[int, int], generator: np.random.Generator) -> Image.Image:
    """Large blobs of colour under fine grain, so that both the smooth and the sharp part of a resize show."""
    width, height = size
    blobs = generator.integers(0, 256, (height // 48 + 2, width // 48 + 2, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(blobs).resize(size, Image.Resampling.BICUBIC), np.int16)
    grain = generator.integers(-40, 41, (height, width, 1), dtype=np.int16)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))
