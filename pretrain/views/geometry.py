"""Shear, translation and rotation of uint8 batches, following Pillow's `Image.transform` and `Image.rotate`.

Images are (n, 3, H, W), RGB, uint8; amounts are (n,), float64, on the CPU. A pixel's centre lies at +0.5; a pixel whose
source lies outside the image takes the fill colour. Coordinates are worked out in float64 as Pillow does; values are
interpolated in float32 and cut to 8 bits, so where the exact value is a whole number a pixel may come out one level
beside Pillow's.
"""

import numpy as np
import torch
from torch import Tensor

from . import compiled
from .colour import to_uint8

FILL = (124, 116, 104)  # 255 times the mean colour of ImageNet
_FILL = np.array(FILL, dtype=np.uint8)


def shear(images: Tensor, amount: Tensor, *, axis: int, bicubic: bool) -> Tensor:
    """Rows (axis 3) or columns (axis 2) displaced by `amount` times their distance from the top-left corner."""
    lines = torch.arange(images.shape[5 - axis], dtype=torch.float64) + 0.5
    return _slide(images, amount[:, None] * lines, axis, bicubic)


def translate(images: Tensor, share: Tensor, *, axis: int, bicubic: bool) -> Tensor:
    """The image read from further along the axis (3: to the right, 2: down) by a share of its side."""
    return _slide(images, (share * images.shape[axis])[:, None], axis, bicubic)


def rotate(images: Tensor, degrees: Tensor, *, bicubic: bool) -> Tensor:
    """Counter-clockwise about the centre; the size stays."""
    height, width = images.shape[-2:]
    angle = torch.deg2rad(degrees)
    if kernels := compiled.kernels_for(images):
        return compiled.changed(kernels.rotate, images, angle.cos().numpy(), angle.sin().numpy(), bicubic, _FILL)
    angle = angle.to(images.device)[:, None, None]
    x = (_centres(width, images) - width / 2)[None, None]
    y = (_centres(height, images) - height / 2)[None, :, None]
    across = angle.cos() * x - angle.sin() * y + width / 2
    down = angle.sin() * x + angle.cos() * y + height / 2
    return _sample(images, across, down, bicubic)


def _slide(images: Tensor, shift: Tensor, axis: int, bicubic: bool) -> Tensor:
    """Each line read from `shift` (n, lines or 1) pixels further along; lines do not mix."""
    if kernels := compiled.kernels_for(images):
        return compiled.changed(kernels.slide, images, shift.numpy(), axis == 2, bicubic, _FILL)
    size = images.shape[axis]
    along_last = images if axis == 3 else images.transpose(2, 3)
    source = _centres(size, images) + shift.to(images.device)[:, :, None]  # (n, lines or 1, size)
    first, fraction = _split(source, bicubic)
    taps = [
        along_last.gather(3, (first + offset).clamp_(0, size - 1)[:, None].expand_as(along_last)).float()
        for offset in range(4 if bicubic else 2)
    ]
    result = _fill_outside(_interpolate(taps, fraction[:, None]), (source >= 0) & (source < size))
    return result if axis == 3 else result.transpose(2, 3)


def _sample(images: Tensor, across: Tensor, down: Tensor, bicubic: bool) -> Tensor:
    """Each output pixel read at (across, down), both (n, H, W), in pixels of the input."""
    height, width = images.shape[-2:]
    left, x_fraction = _split(across, bicubic)
    top, y_fraction = _split(down, bicubic)
    flat = images.flatten(2)
    offsets = range(4 if bicubic else 2)
    columns = [(left + offset).clamp_(0, width - 1) for offset in offsets]
    lines = []
    for offset in offsets:
        row = (top + offset).clamp_(0, height - 1) * width
        indices = [(row + column).flatten(1)[:, None].expand_as(flat) for column in columns]
        taps = [flat.gather(2, index).view_as(images).float() for index in indices]
        lines.append(_interpolate(taps, x_fraction[:, None]))
    inside = (across >= 0) & (across < width) & (down >= 0) & (down < height)
    return _fill_outside(_interpolate(lines, y_fraction[:, None]), inside)


def _split(source: Tensor, bicubic: bool) -> tuple[Tensor, Tensor]:
    """The first pixel that contributes to a position, int64, and how far beyond its neighbour it lies, float32 0-1."""
    corner = source - 0.5
    whole = corner.floor()
    return whole.long() - int(bicubic), (corner - whole).float()


def _interpolate(taps: list[Tensor], d: Tensor) -> Tensor:
    """Between two or four neighbours in Pillow's order of sums, in which an even area stays exactly as it is.

    Four: the cubic with a = -1 that Pillow's transform uses (its resize has -0.5, torch -0.75).
    """
    if len(taps) == 2:
        return taps[0] + (taps[1] - taps[0]) * d
    v1, v2, v3, v4 = taps
    return v2 + d * ((v3 - v1) + d * ((2 * (v1 - v2) + v3 - v4) + d * (v2 - v1 - v3 + v4)))


def _fill_outside(values: Tensor, inside: Tensor) -> Tensor:
    fill = torch.tensor(FILL, dtype=values.dtype, device=values.device)[:, None, None]
    return to_uint8(torch.where(inside[:, None], values.clamp_(0, 255), fill))


def _centres(size: int, images: Tensor) -> Tensor:
    return torch.arange(size, dtype=torch.float64, device=images.device) + 0.5
