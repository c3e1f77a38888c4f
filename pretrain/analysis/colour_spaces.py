"""Views that split a photo: its channels in some colour space, its low and its high frequencies.

Both views are parts of one crop. Colours are RGB, 0-1; sources of the matrices: ITU-R BT.601 (YIQ, NTSC), BT.470
(YDbDr, as in `hub.ydbdr`), CIE 1976 L*a*b* at the white point D65.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...hub.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from ..views.blur import blur_by_taps, tap_weights
from ..views.colour import split_hsv
from .pairs import aligned_crops, normalized, resized
from .photo_arrays import PhotoSet

SMALLEST_CROP = 0.2
_HIGH_LEVELS = 25.0  # of 255: about the spread of what a blur takes away
_YDBDR = ((0.299, 0.587, 0.114), (-0.45, -0.883, 1.333), (-1.333, 1.116, 0.217))
_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
_XYZ = ((0.412453, 0.35758, 0.180423), (0.212671, 0.71516, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = (0.95047, 1.0, 1.08883)


def to_rgb(images: Tensor) -> Tensor:
    """uint8 -> float32, normalised as ImageNet's photos are."""
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (IMAGENET_MEAN, IMAGENET_STD))
    return (images.float() / 255 - mean) / std


def to_ydbdr(images: Tensor) -> Tensor:
    """Y, Db, Dr, brought to about unit spread."""
    return _scaled(_times(_YDBDR, images.float() / 255), (0.45, 0.0, 0.0), (0.25, 0.25, 0.25))


def to_yiq(images: Tensor) -> Tensor:
    """Y, I, Q, brought to about unit spread."""
    return _scaled(_times(_YIQ, images.float() / 255), (0.45, 0.0, 0.0), (0.25, 0.1, 0.06))


def to_lab(images: Tensor) -> Tensor:
    """L, a, b, brought to about unit spread."""
    rgb = images.float() / 255
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    share = _times(_XYZ, linear) / torch.tensor(_WHITE)[:, None, None]
    root = torch.where(share > 0.008856, share.clamp(min=1e-6) ** (1 / 3), 7.787 * share + 16 / 116)
    x, y, z = root.unbind(1)
    lab = torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)
    return _scaled(lab, (48.0, 0.0, 5.0), (27.0, 12.0, 17.0))


def to_hsv(images: Tensor) -> Tensor:
    """H, S, V, each 0-1, brought to about unit spread; hue is an angle, and 0 lies beside 1."""
    return _scaled(torch.cat(split_hsv(images), dim=1) / 255, (0.35, 0.3, 0.5), (0.27, 0.22, 0.26))


SPACES: dict[str, Callable[[Tensor], Tensor]] = {
    "RGB": to_rgb,
    "YDbDr": to_ydbdr,
    "Lab": to_lab,
    "HSV": to_hsv,
    "YIQ": to_yiq,
}


@dataclass(frozen=True)
class ChannelSplit:
    """One channel of a colour space against the other two, of one crop; each view has a network of its own."""

    space: str
    alone: int
    px: int

    channels = (1, 2)

    def draw(self, photos: PhotoSet, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        return self._split(aligned_crops(photos.images[rows], self.px, SMALLEST_CROP, generator))

    def whole(self, images: Tensor) -> tuple[Tensor, ...]:
        return self._split(resized(images, self.px))

    def _split(self, images: Tensor) -> tuple[Tensor, ...]:
        return split_channels(SPACES[self.space](images), self.alone)


@dataclass(frozen=True)
class FrequencySplit:
    """A blurred photo against what the blur takes away, of one crop; each view has a network of its own."""

    sigma_px: float
    px: int

    channels = (3, 3)

    def draw(self, photos: PhotoSet, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        return self._split(aligned_crops(photos.images[rows], self.px, SMALLEST_CROP, generator))

    def whole(self, images: Tensor) -> tuple[Tensor, ...]:
        return self._split(resized(images, self.px))

    def _split(self, images: Tensor) -> tuple[Tensor, ...]:
        sigma = torch.full((len(images),), self.sigma_px)
        low = blur_by_taps(images, tap_weights(sigma, radius=min(11, self.px // 2)))
        return normalized(low), (images.float() - low.float()) / _HIGH_LEVELS


def split_channels(images: Tensor, alone: int) -> tuple[Tensor, Tensor]:
    """The channel `alone` (N, 1, H, W) and the other two (N, 2, H, W)."""
    others = [channel for channel in range(3) if channel != alone]
    return images[:, alone : alone + 1], images[:, others]


def _times(matrix: tuple[tuple[float, ...], ...], images: Tensor) -> Tensor:
    return torch.einsum("kc,nchw->nkhw", torch.tensor(matrix), images)


def _scaled(images: Tensor, middle: tuple[float, ...], spread: tuple[float, ...]) -> Tensor:
    return (images - torch.tensor(middle)[:, None, None]) / torch.tensor(spread)[:, None, None]
