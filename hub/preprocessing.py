"""What an encoder's input must look like, and how a photo becomes it with numpy and Pillow alone.

The deployed encoder prepares photos here, bit for bit as timm's evaluation transform does. Torch-free.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from .deep_pixels import Values

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# What a file may say; the largest crop_pct of a published network is 1.15, and two published means are 0.
LARGEST_PX = 2**13
CROP_PCT, MEAN, STD = (0.05, 2.0), (-10.0, 10.0), (1e-3, 10.0)
LONGEST_STRIP = 16
_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the network's input: shorter side to floor(input_px / crop_pct), centre crop, normalise.

    `mean` and `std` are for RGB in 0-1. `values` says which values of photos of more than 8 bits are black and white,
    where that was declared, see `deep_pixels`.
    """

    input_px: int = 224
    crop_pct: float = 0.875
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    values: Values | None = None


def prepare_pixels(image: Image.Image, preprocessing: Preprocessing) -> np.ndarray:
    """An RGB image -> (3, input_px, input_px) float32, normalised with `preprocessing`."""
    crop_px, image = preprocessing.input_px, middle(image)
    resized = image.resize(resized_size(image.size, preprocessing), _FILTERS[preprocessing.interpolation])
    # round() takes halves to even, as torchvision's CenterCrop does
    left, top = (round((side - crop_px) / 2) for side in resized.size)
    cropped = resized.crop((left, top, left + crop_px, top + crop_px))
    scaled = np.asarray(cropped, np.float32) / np.float32(255)
    mean, std = np.array([preprocessing.mean, preprocessing.std], np.float32)
    return np.ascontiguousarray(((scaled - mean) / std).transpose(2, 0, 1), np.float32)


def middle(image: Image.Image) -> Image.Image:
    """Of a strip, more than `LONGEST_STRIP` times as long as wide, the middle part; any other photo as it is.

    The centre crop sees no more of it, and resized whole a strip of 60000 x 1 would take gigabytes.
    """
    short, long = min(image.size), max(image.size)
    if long <= LONGEST_STRIP * short:
        return image
    length = LONGEST_STRIP * short + (long - LONGEST_STRIP * short) % 2  # the middle stays where it is
    first = (long - length) // 2
    is_wide = image.width > image.height
    return image.crop((first, 0, first + length, short) if is_wide else (0, first, short, first + length))


def resized_size(size: tuple[int, int], preprocessing: Preprocessing) -> tuple[int, int]:
    """(width, height) with the shorter side floor(input_px / crop_pct), the longer one rounded down."""
    short_px = math.floor(preprocessing.input_px / preprocessing.crop_pct)
    width, height = size
    return width * short_px // min(size), height * short_px // min(size)
