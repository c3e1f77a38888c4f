"""The vector of a region of a photo: the last feature map, averaged over the box.

The box and its surroundings are enlarged until the box has as many pixels as the photos that the encoder was trained
for, so that what it shows has the size that the encoder knows, and the network sees what is around it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ...hub.preprocessing import Preprocessing
from ...hub.web import Refusal

MARGIN = 0.5  # of the box's sides, at each side of it
SMALLEST_PX = 4  # sides of a box in the photo
LONGEST = 6  # times the encoder's input, sides of what the network sees
CELL_PX = 32  # of the last feature map

Maps = Callable[[np.ndarray], np.ndarray]  # (1, 3, H, W) normalised -> (1, F, H / 32, W / 32)


@dataclass(frozen=True)
class Box:
    """A part of a photo, in shares of its width and height, 0 to 1."""

    left: float
    top: float
    width: float
    height: float

    def pixels(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """left, top, right, bottom in a photo of `size`, cut at its edges.

        Raises:
            Refusal: 400, less than a few pixels are left.
        """
        width, height = size
        left, top = max(0.0, self.left * width), max(0.0, self.top * height)
        right = min(float(width), (self.left + self.width) * width)
        bottom = min(float(height), (self.top + self.height) * height)
        if not (right - left >= SMALLEST_PX and bottom - top >= SMALLEST_PX):
            raise Refusal(
                400, f"The box covers less than {SMALLEST_PX} pixels of the photo in one direction; draw it larger."
            )
        return left, top, right, bottom


def crop(photo: Image.Image, box: Box) -> Image.Image:
    """The box alone, for encoders that give no feature maps."""
    left, top, right, bottom = box.pixels(photo.size)
    return photo.crop((math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)))


def region_vector(maps: Maps, photo: Image.Image, box: Box, preprocessing: Preprocessing) -> np.ndarray:
    """(F,) float32 of unit length: the average of the cells under the box, each by the share of it that is covered.

    Raises:
        Refusal: 400, the box is too small.
    """
    found = box.pixels(photo.size)
    around = _surroundings(found, photo.size)
    scale = preprocessing.input_px / math.sqrt((found[2] - found[0]) * (found[3] - found[1]))
    most = LONGEST * preprocessing.input_px // CELL_PX
    # whole cells, so that it is known what each of them saw
    sides = [
        CELL_PX * min(max(1, round(side * scale / CELL_PX)), most)
        for side in (around[2] - around[0], around[3] - around[1])
    ]
    resized = photo.resize((sides[0], sides[1]), Image.Resampling.BICUBIC, box=around)
    cells = maps(_normalised(resized, preprocessing)[None])[0].astype(np.float64)
    across = _coverage(found[0], found[2], around[0], around[2], cells.shape[2])
    down = _coverage(found[1], found[3], around[1], around[3], cells.shape[1])
    vector = np.einsum("fhw,h,w->f", cells, down, across)
    unit: np.ndarray = (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
    return unit


def _surroundings(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    wide, high = MARGIN * (right - left), MARGIN * (bottom - top)
    return max(0.0, left - wide), max(0.0, top - high), min(size[0], right + wide), min(size[1], bottom + high)


def _coverage(first: float, last: float, start: float, end: float, count: int) -> np.ndarray:
    """How much of each of `count` equal parts of start-end lies within first-last, 0 to 1."""
    edges = np.linspace(start, end, count + 1)
    overlap = np.minimum(edges[1:], last) - np.maximum(edges[:-1], first)
    return np.clip(overlap / (edges[1:] - edges[:-1]), 0, 1)


def _normalised(image: Image.Image, preprocessing: Preprocessing) -> np.ndarray:
    """(3, H, W) float32."""
    mean, std = np.array([preprocessing.mean, preprocessing.std], np.float32)
    scaled = np.asarray(image, np.float32) / np.float32(255)
    return np.ascontiguousarray(((scaled - mean) / std).transpose(2, 0, 1), np.float32)
