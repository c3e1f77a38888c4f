"""An image file to random crops: one decode for all crops of an image, then a fast resize of each.

Crops agree with `torchvision.transforms.RandomResizedCrop` on PIL images: bicubic ones exactly, bilinear ones, resized
by torch at three to five times Pillow's speed, within two levels of 8 bits (one pixel in twenty differs, by one level).

Large JPEG files are decoded at 1/2, 1/4 or 1/8 of their size where every crop is still reduced by twice as much after
it; the crops' edges then lie on that coarser grid. `goodviews pretrain --exact-decode` decodes them whole, always.
Against the same crop of the whole photo, on the 58 % of crops of 198 COCO photos at 64 px that this concerns: PSNR 38
dB in the median and 28 dB at worst, 2.0 levels of mean difference, variance of the Laplacian x 0.96. Without the
factor of two it was 34 dB, 25 dB, 3.3 levels and x 0.87, of all crops. benchmarks/jpeg_reduction.py measures it.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import PIL
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, features
from torch import Tensor

from ...hub.deep_pixels import Values
from ...hub.images import decoded, opened
from ..options import Options
from ..views.view import Box, Crop
from .plain_jpeg import in_memory, plain_jpeg, version

JPEG, WHOLE = "jpeg", "whole"  # what a run's description says of its JPEG files, or else how it decoded them before
KEPT = "kept"
SPARE = 2  # by how much a crop is at least reduced after the decoder: its own filter then decides how sharp it is
_ORIENTATION = 0x0112  # EXIF tag; 2 to 8 mean that the stored image is mirrored or turned, 5 to 8 lying on its side


def decoder() -> str:
    """What turned files into pixels, for provenance: pixels may differ between versions."""
    jpeg = features.version("libjpeg_turbo") or features.version("jpg") or "unknown"
    plain = "" if version() is None else f", simplejpeg {version()} of plain JPEG files"
    return f"Pillow {PIL.__version__}, libjpeg-turbo {jpeg}{plain}, torch {torch.__version__} resize"


def describe_decoding(options: Options) -> dict[str, Any]:
    """What a run's description of its data says of how files become crops."""
    if options.keep == "no":
        return {JPEG: WHOLE if options.exact_decode else f"smaller where crops shrink {2 * SPARE} times or more"}
    return {KEPT: {"short_px": options.keep_px, "crops_by": "gpu" if options.keep == "gpu" else "cpu"}}


def read_crops(
    file: Path | BinaryIO,
    crops: Sequence[Crop],
    uniforms: Sequence[NDArray[np.float64]],
    *,
    name: str | None = None,
    values: Values | None = None,
    is_exact: bool = False,
) -> list[Tensor]:
    """Every crop of one image, each (3, px, px), RGB, uint8, drawn from its own row of uniform numbers.

    Args:
        file: its path, or its bytes as a stream; `name` is what to call it in an error, by default the path.
        values: of photos of more than 8 bits, which are black and white; see `hub.deep_pixels`.
        is_exact: decode JPEG files whole, always.

    Raises:
        DataError: the file cannot be read as an image.
    """
    content = in_memory(file)
    plain = plain_jpeg(content)
    if plain is not None:
        boxes = _boxes(plain.width, plain.height, crops, uniforms)
        photo = plain.pixels() if is_exact or _factor(boxes, crops) == 1 else None
        if photo is not None:
            return [resized_crop(photo, box, crop) for box, crop in zip(boxes, crops, strict=True)]
    called = name if name is not None else str(file)
    with opened(content, name=called) as stored:
        image = stored if stored.format == "JPEG" else decoded(stored, values=values, name=called)
        orientation = _orientation(image)
        width, height = image.size if orientation < 5 else image.size[::-1]
        boxes = _boxes(width, height, crops, uniforms)
        shrink = 1 if is_exact else _shrink(image, boxes, crops)
        photo = np.array(image if image.mode == "RGB" and orientation == 1 else decoded(image, name=called))
    return [resized_crop(photo, _on_grid(box, shrink), crop) for box, crop in zip(boxes, crops, strict=True)]


def resized_crop(photo: np.ndarray, box: Box, crop: Crop) -> Tensor:
    """A part of a photo (H, W, 3), uint8, resized with antialiasing to (3, px, px)."""
    left, top, right, bottom = box
    part = photo[top:bottom, left:right]
    if crop.interpolation == "bicubic":  # torch's overshoots at edges in uint8, by up to 14 levels
        resized = np.array(Image.fromarray(part).resize((crop.px, crop.px), Image.Resampling.BICUBIC))
        return torch.from_numpy(resized).permute(2, 0, 1)
    batch = torch.from_numpy(part).permute(2, 0, 1)[None]
    return F.interpolate(batch, size=(crop.px, crop.px), mode="bilinear", antialias=True)[0]


def shorten(photo: Image.Image, short_px: int | None) -> Image.Image:
    """The photo with its shorter side reduced to `short_px` where it is longer."""
    size = short_size(photo.size, short_px)
    return photo if size == photo.size else photo.resize(size, Image.Resampling.BICUBIC)


def short_size(size: tuple[int, int], short_px: int | None) -> tuple[int, int]:
    """Width and height after `shorten`."""
    shorter = min(size)
    if short_px is None or shorter <= short_px:
        return size
    width, height = (round(side * short_px / shorter) for side in size)
    return width, height


def _orientation(image: Image.Image) -> int:
    with contextlib.suppress(OSError, SyntaxError, ValueError, KeyError, TypeError, ZeroDivisionError):
        found = image.getexif().get(_ORIENTATION, 1)
        return found if found in range(1, 9) else 1
    return 1


def _boxes(width: int, height: int, crops: Sequence[Crop], uniforms: Sequence[NDArray[np.float64]]) -> list[Box]:
    return [crop.box(width, height, row) for crop, row in zip(crops, uniforms, strict=True)]


def _shrink(image: Image.Image, boxes: Sequence[Box], crops: Sequence[Crop]) -> int:
    """Ask the JPEG decoder for the size by `_factor`.

    Returns how many pixels of the photo one decoded pixel stands for along a side: 1, 2, 4 or 8.
    """
    factor = _factor(boxes, crops)
    if image.format != "JPEG" or factor == 1:
        return 1
    width, height = image.size
    image.draft(None, (width // factor, height // factor))
    return round(width / image.size[0])


def _factor(boxes: Sequence[Box], crops: Sequence[Crop]) -> int:
    """By how much a photo may be reduced and still have `SPARE` pixels for each pixel of every crop: 1, 2, 4 or 8."""
    room = min(min(right - left, bottom - top) / crop.px for (left, top, right, bottom), crop in zip(boxes, crops))
    return next((factor for factor in (8, 4, 2) if room >= factor * SPARE), 1)


def _on_grid(box: Box, shrink: int) -> Box:
    left, top, right, bottom = (round(edge / shrink) for edge in box)
    return left, top, right, bottom
