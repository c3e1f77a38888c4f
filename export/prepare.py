"""From a photo to the network's input with Pillow and numpy alone, bit for bit as timm's evaluation transform."""

import math

import numpy as np
from PIL import Image

from ..hub.preprocessing import Preprocessing

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def prepare_pixels(image: Image.Image, preprocessing: Preprocessing) -> np.ndarray:
    """An RGB image -> (3, input_px, input_px) float32, normalised with `preprocessing`."""
    crop_px = preprocessing.input_px
    resized = image.resize(resized_size(image.size, preprocessing), _FILTERS[preprocessing.interpolation])
    left, top = (
        round((side - crop_px) / 2) for side in resized.size
    )  # round() takes halves to even, as CenterCrop does
    cropped = resized.crop((left, top, left + crop_px, top + crop_px))
    scaled: np.ndarray = np.asarray(cropped, np.float32) / np.float32(255)
    mean, std = np.array([preprocessing.mean, preprocessing.std], np.float32)
    return np.ascontiguousarray(((scaled - mean) / std).transpose(2, 0, 1))


def resized_size(size: tuple[int, int], preprocessing: Preprocessing) -> tuple[int, int]:
    """(width, height) with the shorter side floor(input_px / crop_pct), the longer one rounded down."""
    short_px = math.floor(preprocessing.input_px / preprocessing.crop_pct)
    width, height = size
    return width * short_px // min(size), height * short_px // min(size)
