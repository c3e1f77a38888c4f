"""The networks that are written: photo to pixels, pixels to a unit vector, pixels to feature maps, pixels to classes.

Each is traced once; a file that takes photos is the first of them put before another.
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...hub.encoder import Encoder
from ...hub.preprocessing import Preprocessing

STAGES = ("res2", "res3", "res4", "res5")


class ImageToPixels(nn.Module):
    """(N, H, W, 3) uint8 -> (N, 3, px, px) normalised, prepared as Pillow and torchvision prepare photos.

    Resizing the uint8 tensor rounds as Pillow does; the crop offset takes halves to even as CenterCrop does (one
    pixel off costs 1e-3 in cosine).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, preprocessing: Preprocessing):
        super().__init__()
        p = preprocessing
        self.crop_px, self.short_px = p.input_px, math.floor(p.input_px / p.crop_pct)
        self.interpolation = p.interpolation
        self.register_buffer("mean", torch.tensor(p.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(p.std).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[1], image.shape[2]
        short = cast(int, torch.sym_min(height, width))  # min() would be decided while tracing
        size = (height * self.short_px // short, width * self.short_px // short)
        resized = F.interpolate(image.permute(0, 3, 1, 2), size=size, mode=self.interpolation, antialias=True)
        top, left = (half_to_even(side - self.crop_px) for side in size)
        cropped = resized.narrow(2, top, self.crop_px).narrow(3, left, self.crop_px)
        return (cropped.float() / 255 - self.mean) / self.std


def half_to_even(difference: int) -> int:
    """Half of a whole number, halves to the even neighbour, in arithmetic that can be traced."""
    half = difference // 2
    return half + (difference % 2) * (half % 2)


class PixelsToVector(nn.Module):
    """(N, 3, H, W) normalised -> (N, F) unit rows."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.backbone = encoder.backbone

    def forward(self, pixels: Tensor) -> Tensor:
        return F.normalize(self.backbone(pixels), dim=1)


class PixelsToMaps(nn.Module):
    """(N, 3, H, W) normalised -> the four stages of a ResNet, as `Encoder.feature_maps` gives them."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, pixels: Tensor) -> Sequence[Tensor]:
        maps = self.encoder.feature_maps(pixels)
        return tuple(maps[stage] for stage in STAGES)


class PixelsToClasses(nn.Module):
    """(N, 3, H, W) normalised -> (N, C) probabilities."""

    def __init__(self, classifier: nn.Module):
        super().__init__()
        self.classifier = classifier

    def forward(self, pixels: Tensor) -> Tensor:
        return F.softmax(self.classifier(pixels), dim=1)
