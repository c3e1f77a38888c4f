"""Shear, translation and rotation by nearest neighbour with black outside the image, equal to Pillow's defaults.

Images are (n, 3, H, W), RGB, uint8; amounts are (n,), float64, on the CPU. Pillow walks through the source in whole
numbers with 16 bits after the point; so do we, and every pixel agrees. `geometry` has the interpolated ones.
"""

import torch
from torch import Tensor

_BITS = 16


def shear(images: Tensor, amount: Tensor, *, axis: int) -> Tensor:
    """Rows (axis 3) or columns (axis 2) displaced by `amount` times their distance from the top-left corner."""
    lines = torch.arange(images.shape[5 - axis])
    start, step = _fixed(0.5 + amount / 2), _fixed(amount)
    return _slide(images, (start[:, None] + step[:, None] * lines) >> _BITS, axis)


def translate(images: Tensor, pixels: Tensor, *, axis: int) -> Tensor:
    """The image read from whole `pixels` further along the axis (3: to the right, 2: down)."""
    return _slide(images, pixels.long()[:, None], axis)


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Counter-clockwise about the centre; the size stays."""
    height, width = images.shape[-2:]
    angle = torch.deg2rad(degrees)
    cos, sin = angle.cos(), angle.sin()
    left, top = 0.5 - width / 2, 0.5 - height / 2  # the first pixel's centre, seen from the image's
    across = _walk(cos * left - sin * top + width / 2, cos, -sin, images)
    down = _walk(sin * left + cos * top + height / 2, sin, cos, images)
    inside = (across >= 0) & (across < width) & (down >= 0) & (down < height)
    index = down.clamp_(0, height - 1).mul_(width).add_(across.clamp_(0, width - 1))
    flat = images.flatten(2)
    return flat.gather(2, index.flatten(1)[:, None].expand_as(flat)).view_as(images) * inside[:, None]


def shear_steps(amount: Tensor, *, px: int, axis: int) -> Tensor:
    """Where each pixel (x, y) of a square image is read: column (a + b x + c y) >> 16, row (d + e x + f y) >> 16.

    (n, 6), int64: a to f.
    """
    start, step = _fixed(0.5 + amount / 2), _fixed(amount)
    zero, one = torch.zeros_like(step), torch.full_like(step, 2**_BITS)
    steps = (start, one, step, zero, zero, one) if axis == 3 else (zero, one, zero, start, step, one)
    return torch.stack(steps, dim=1)


def translate_steps(pixels: Tensor, *, px: int, axis: int) -> Tensor:
    """As `shear_steps`."""
    shift = pixels.long() << _BITS
    zero, one = torch.zeros_like(shift), torch.full_like(shift, 2**_BITS)
    across, down = (shift, zero) if axis == 3 else (zero, shift)
    return torch.stack([across, one, zero, down, zero, one], dim=1)


def rotate_steps(degrees: Tensor, *, px: int) -> Tensor:
    """As `shear_steps`."""
    angle = torch.deg2rad(degrees)
    cos, sin = angle.cos(), angle.sin()
    first = 0.5 - px / 2
    across, down = cos * first - sin * first + px / 2, sin * first + cos * first + px / 2
    return torch.stack([_fixed(values) for values in (across, cos, -sin, down, sin, cos)], dim=1)


def _slide(images: Tensor, shift: Tensor, axis: int) -> Tensor:
    """Each line read from `shift` (n, lines or 1) whole pixels further along."""
    size = images.shape[axis]
    along_last = images if axis == 3 else images.transpose(2, 3)
    source = torch.arange(size, device=images.device) + shift.to(images.device)[:, :, None]
    inside = (source >= 0) & (source < size)
    read = along_last.gather(3, source.clamp_(0, size - 1)[:, None].expand_as(along_last)) * inside[:, None]
    return read if axis == 3 else read.transpose(2, 3)


def _walk(start: Tensor, per_column: Tensor, per_row: Tensor, images: Tensor) -> Tensor:
    """Where each output pixel is read along one axis, (n, H, W), whole pixels."""
    first, right, below = (_fixed(values).to(images.device)[:, None, None] for values in (start, per_column, per_row))
    columns = torch.arange(images.shape[3], device=images.device)
    rows = torch.arange(images.shape[2], device=images.device)[:, None]
    return (first + right * columns + below * rows) >> _BITS


def _fixed(values: Tensor) -> Tensor:
    return (values * 2**_BITS + 0.5).floor().long()
