"""What a view is: a crop of the photo, then a program of image operations on whole batches.

The crop is made where the photo is decoded. The program runs wherever the batch lies, with parameters drawn for each
image from its own row of uniform numbers, so a batch may be cut, merged or moved without changing any image in it.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .change import Change, apply

Interpolation = Literal["bilinear", "bicubic"]
Box = tuple[int, int, int, int]


@runtime_checkable
class Operation(Protocol):
    """A step of a program: a frozen dataclass whose fields say what it does.

    Images are RGB, uint8, (N, 3, H, W), before and after every operation as in the PIL pipelines this reproduces,
    except after `CutJigsaw` (N, 9, 3, h, w) and `Normalize` (float32).
    """

    @property
    def width(self) -> int:
        """How many uniform numbers one image needs."""
        ...

    def changes(self, uniforms: Tensor) -> Iterable[Change]:
        """What it does to a batch, from (N, width) uniform numbers: float64 in [0, 1), on the CPU.

        Nothing here depends on the pixels, so the device never waits for the choice of which images to change.
        """
        ...


@dataclass(frozen=True)
class RandomResizedCrop:
    """A part of the photo of random area and shape, resized to a square.

    Args:
        px: side of the result.
        scale: range of the part's share of the photo's area, drawn uniformly.
        ratio: range of width over height, drawn log-uniformly.

    Source: Szegedy et al. 2015 (arXiv:1409.4842); drawn as torchvision's RandomResizedCrop does.
    """

    px: int
    scale: tuple[float, float]
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: Interpolation = "bilinear"

    _attempts: ClassVar[int] = 10
    width: ClassVar[int] = 4 * _attempts

    def box(self, photo_width: int, photo_height: int, uniforms: NDArray[np.float64]) -> Box:
        """Left, top, right, bottom in whole pixels of the photo, from `width` uniform numbers."""
        for first in range(0, self.width, 4):
            area, shape, across, down = uniforms[first : first + 4].tolist()
            target = photo_width * photo_height * _between(self.scale, area)
            aspect = math.exp(_between((math.log(self.ratio[0]), math.log(self.ratio[1])), shape))
            w, h = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
            if 0 < w <= photo_width and 0 < h <= photo_height:
                left, top = int(across * (photo_width - w + 1)), int(down * (photo_height - h + 1))
                return left, top, left + w, top + h
        return self._largest_centred(photo_width, photo_height)

    def _largest_centred(self, photo_width: int, photo_height: int) -> Box:
        """What very long or very high photos get when no drawn part fits."""
        w, h = photo_width, photo_height
        if w / h < self.ratio[0]:
            h = min(h, round(w / self.ratio[0]))
        elif w / h > self.ratio[1]:
            w = round(h * self.ratio[1])
        left, top = (photo_width - w) // 2, (photo_height - h) // 2
        return left, top, left + w, top + h


@dataclass(frozen=True)
class CentreCrop:
    """The middle square of the photo, resized: nothing is drawn.

    Args:
        px: side of the result.
        share: of the photo's shorter side; 0.875 for a photo of 256 px cut to 224.
    """

    px: int
    share: float = 0.875
    interpolation: Interpolation = "bilinear"

    width: ClassVar[int] = 0

    def box(self, photo_width: int, photo_height: int, uniforms: NDArray[np.float64]) -> Box:
        """Left, top, right, bottom in whole pixels of the photo."""
        side = max(1, round(self.share * min(photo_width, photo_height)))
        left, top = (photo_width - side) // 2, (photo_height - side) // 2
        return left, top, left + side, top + side


Crop = RandomResizedCrop | CentreCrop


@dataclass(frozen=True)
class View:
    """One way of looking at an image; a recipe names several and its objective says what they are for."""

    name: str
    crop: Crop
    program: tuple[Operation, ...]

    @property
    def width(self) -> int:
        """Uniform numbers an image needs: those of the crop, then those of each operation in turn."""
        return self.crop.width + sum(operation.width for operation in self.program)

    def render(self, crops: Tensor, uniforms: Tensor) -> Tensor:
        """The view of every crop.

        Args:
            crops: (N, 3, px, px), RGB, uint8, any device and memory layout.
            uniforms: (N, width), float64 on the CPU; the crop's numbers lead each row and are ignored.
        """
        return apply(self._changes(uniforms), crops)

    def _changes(self, uniforms: Tensor) -> Iterator[Change]:
        """Those of all operations in turn, each from its own columns of the uniform numbers."""
        first = self.crop.width
        for operation in self.program:
            yield from operation.changes(uniforms[:, first : first + operation.width])
            first += operation.width


def _between(limits: tuple[float, float], uniform: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * uniform
