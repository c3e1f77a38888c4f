"""What an encoder's input must look like. Torch-free, since the deployed encoder prepares photos by the same rules."""

from dataclasses import dataclass
from typing import Literal

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the network's input: shorter side to floor(input_px / crop_pct), centre crop, normalise.

    `mean` and `std` are for RGB in 0-1.
    """

    input_px: int = 224
    crop_pct: float = 0.875
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
