"""The operations a view's program is made of.

Each takes a row of uniform numbers for each image, works out from it whether and how the image changes, by inverting
the parameters' distributions, and gives that as changes, which `change.apply` carries out. The arithmetic on pixels is
in `colour`, `blur` and `geometry`; `RandAugment` and `StrongPolicy` have files of their own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import permutations
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...hub.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from . import blur, colour, compiled
from .change import Change
from .view import View

CONV_RADIUS = 11  # the published blur asks for size 22, which becomes 23 taps


@dataclass(frozen=True)
class Flip:
    """Mirror left and right with probability p."""

    p: float = 0.5
    width: ClassVar[int] = 1

    def changes(self, uniforms: Tensor) -> Iterator[Change]:
        yield Change(mirror, where=uniforms[:, 0] < self.p)


@dataclass(frozen=True)
class ColorJitter:
    """With probability p, change brightness, contrast, saturation and hue in an order drawn for each image.

    The first three are factors from [1 - x, 1 + x] (not below 0), hue a shift from [-x, x] of a full turn; 0 leaves a
    step out.

    Args:
        brightness_kind: "times", a factor, or "plus", from [-x, x] of full brightness (BYOL; SimCLR's first version).

    Source: torchvision's ColorJitter on PIL images, which rounds to 8 bits between the steps; brightness that is added
    is google-research/simclr's, data_util.py.
    """

    brightness: float
    contrast: float
    saturation: float
    hue: float
    p: float = 1.0
    brightness_kind: Literal["times", "plus"] = "times"
    width: ClassVar[int] = 6  # applied or not, order, the four amounts

    def changes(self, uniforms: Tensor) -> Iterator[Change]:
        orders = torch.tensor(list(permutations(range(4))))
        order = orders[(uniforms[:, 1] * len(orders)).long()]  # (N, 4): which step comes first, second, ...
        order = torch.where(uniforms[:, :1] < self.p, order, -1)
        steps = self._steps(uniforms[:, 2:])
        for place in range(4):
            for kind, (step, amount) in steps.items():
                yield Change(step, (amount,), where=order[:, place] == kind)

    def _steps(self, uniforms: Tensor) -> dict[int, tuple[Callable[[Tensor, Tensor], Tensor], Tensor]]:
        """By number: the step and its amount for each image, without those that are left out."""
        adds = self.brightness_kind == "plus"
        brightness = colour.add_brightness if adds else colour.brightness
        functions = (brightness, colour.contrast, colour.saturation, colour.shift_hue)
        strengths = (self.brightness, self.contrast, self.saturation, self.hue)
        middles = (0 if adds else 1, 1, 1, 0)  # what changes nothing; a factor is never below 0
        lows = [max(0.0, 1 - x) if middle else -x for x, middle in zip(strengths, middles, strict=True)]
        highs = [middle + x for x, middle in zip(strengths, middles, strict=True)]
        return {
            kind: (functions[kind], _between(lows[kind], highs[kind], uniforms[:, kind]))
            for kind in range(4)
            if strengths[kind]
        }


@dataclass(frozen=True)
class Grayscale:
    """Luma in all three channels with probability p."""

    p: float
    width: ClassVar[int] = 1

    def changes(self, uniforms: Tensor) -> Iterator[Change]:
        yield Change(colour.grayscale, where=uniforms[:, 0] < self.p)


@dataclass(frozen=True)
class GaussianBlur:
    """Blur with probability p; sigma, in pixels, is drawn uniformly.

    Args:
        kind: "pil", what Pillow calls a Gaussian (MoCo v2, CLSA), or "conv23", 23 taps cut to 8 bits (InfoMin): the
            cut makes blurred images half a level darker, as published.
    """

    sigma: tuple[float, float] = (0.1, 2.0)
    p: float = 0.5
    kind: Literal["pil", "conv23"] = "pil"
    width: ClassVar[int] = 2

    def changes(self, uniforms: Tensor) -> Iterator[Change]:
        function = blur.pil_blur if self.kind == "pil" else partial(blur.conv_blur, radius=CONV_RADIUS)
        yield Change(function, (_between(*self.sigma, uniforms[:, 1]),), where=uniforms[:, 0] < self.p)


@dataclass(frozen=True)
class Solarize:
    """Pixels at or above the threshold inverted, with probability p."""

    p: float
    threshold: int = 128
    width: ClassVar[int] = 1

    def changes(self, uniforms: Tensor) -> Iterator[Change]:
        threshold = torch.full((len(uniforms),), float(self.threshold))
        yield Change(colour.solarize, (threshold,), where=uniforms[:, 0] < self.p)


@dataclass(frozen=True)
class CutJigsaw:
    """Cut a square image into grid x grid cells and keep a patch of each, at a place drawn for each cell.

    (N, 3, S, S) becomes (N, grid², 3, patch_px, patch_px), cells row by row; S is at least grid · patch_px.
    """

    grid: int = 3
    patch_px: int = 64

    @property
    def width(self) -> int:
        return 2 * self.grid**2

    def changes(self, uniforms: Tensor) -> Iterator[Change]:
        yield Change(self._cut_anywhere, (uniforms,))

    def _cut_anywhere(self, batch: Tensor, uniforms: Tensor) -> Tensor:
        return self.cut(batch, *self.offsets(uniforms, batch.shape[-1]))

    def offsets(self, uniforms: Tensor, px: int) -> tuple[Tensor, Tensor]:
        """How far down and across its cell each patch begins, both (N, grid²), int64, in an image of `px` a side."""
        room = px // self.grid - self.patch_px + 1  # both ends included
        down, across = (uniforms * room).long().split(self.grid**2, dim=1)
        return down, across

    def corners(self, down: Tensor, across: Tensor, px: int) -> tuple[Tensor, Tensor]:
        """Top and left of each patch in the image, both (N, grid²)."""
        cell, number = px // self.grid, torch.arange(self.grid**2)
        return down + number // self.grid * cell, across + number % self.grid * cell

    def cut(self, batch: Tensor, down: Tensor, across: Tensor) -> Tensor:
        """The patches at given offsets (N, grid²) from the top and the left of their cells."""
        top, left = self.corners(down, across, batch.shape[-1])
        windows = batch.unfold(2, self.patch_px, 1).unfold(3, self.patch_px, 1)  # (N, 3, tops, lefts, px, px), a view
        images = torch.arange(len(batch))[:, None]
        return windows[images.to(batch.device), :, top.to(batch.device), left.to(batch.device)]


@dataclass(frozen=True)
class Normalize:
    """uint8 to float32: value / 255, minus the mean, over the standard deviation; channels third from last."""

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    width: ClassVar[int] = 0

    def changes(self, uniforms: Tensor) -> Iterator[Change]:
        yield Change(self._normalize, by_image=compiled.is_installed())

    def _normalize(self, batch: Tensor) -> Tensor:
        if (kernels := compiled.kernels_for(batch)) and batch.dtype == torch.uint8:
            made = torch.empty(batch.shape)
            kernels.look_up(_planes(batch.contiguous()), _normalized(self), _planes(made))
            return made
        mean = torch.tensor(self.mean, device=batch.device)[:, None, None]
        std = torch.tensor(self.std, device=batch.device)[:, None, None]
        return batch.float().div_(255).sub_(mean).div_(std)


@cache
def _normalized(operation: Normalize) -> NDArray[np.float32]:
    """(3, 256), what it makes of each value of a channel."""
    mean, std = (np.array(numbers, np.float32)[:, None] for numbers in (operation.mean, operation.std))
    made: NDArray[np.float32] = (np.arange(256, dtype=np.float32) / np.float32(255) - mean) / std
    return made


def _planes(batch: Tensor) -> NDArray[Any]:
    """(..., 3, H, W) as (N, 3, P)."""
    flat: NDArray[Any] = batch.reshape(-1, 3, batch.shape[-2] * batch.shape[-1]).numpy()
    return flat


def mirror(images: Tensor) -> Tensor:
    """Left and right exchanged."""
    return images.flip(-1)


def _between(low: float, high: float, uniforms: Tensor) -> Tensor:
    """Uniform numbers in [0, 1) stretched to [low, high)."""
    return low + (high - low) * uniforms


def cut_of(view: View) -> CutJigsaw | None:
    """What cuts a view into patches; None for a whole one."""
    return next((operation for operation in view.program if isinstance(operation, CutJigsaw)), None)
