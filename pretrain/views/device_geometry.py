"""Kernels that move pixels, or look at their neighbours, on a GPU: see `plan`.

Each equals its function in `geometry`, `geometry_nearest` or `blur` bit by bit on a CPU. Pixels are (C, K, 3), chunks
of images of several sizes; or (N, px, px, 3), the images of one size. They are changed in place.
"""

import math

import torch
from torch import Tensor

from . import blur
from .given import Given

_READS_AT_ONCE = 2**26  # pixels read by interpolation at once: about 1.5 GB of temporaries


def flip(images: Tensor, given: Given, settings: tuple[int, ...]) -> None:
    """Left and right exchanged."""
    rows = given.whole()
    images.index_copy_(0, rows, images.index_select(0, rows).flip(2))


def boxes(images: Tensor, given: Given, settings: tuple[int, ...]) -> None:
    """As `blur.pil_blur`."""
    rows, weights = given.whole(), given.whole(settings[0], -1).int()
    chosen = images.index_select(0, rows).permute(0, 3, 1, 2)
    images.index_copy_(0, rows, blur.blur_by_boxes(chosen, weights).permute(0, 2, 3, 1))


def taps(images: Tensor, given: Given, settings: tuple[int, ...]) -> None:
    """As `blur.conv_blur`."""
    rows, weights = given.whole(), given.single(settings[0], -1)
    chosen = images.index_select(0, rows).permute(0, 3, 1, 2)
    images.index_copy_(0, rows, blur.blur_by_taps(chosen, weights).permute(0, 2, 3, 1))


def nearest(pixels: Tensor, given: Given, settings: tuple[int, ...]) -> None:
    """Shear, translation and rotation of `geometry_nearest` at once."""
    rows, begins, px = given.whole(), given.whole(-1, 1), given.whole(-1, 1)
    x, y = _columns_and_rows(pixels, given.whole(-1, 1), px)
    constant, per_column, per_row = (given.whole(2, -1, 1) for _ in range(3))
    read = torch.addcmul(torch.addcmul(constant, per_column, x), per_row, y) >> 16
    inside = ((read >= 0) & (read < px)).all(dim=0)
    across, down = read.unbind(0)
    places = torch.addcmul(across, down, px).add_(begins).mul_(inside)  # outside: any pixel there is
    moved = pixels.view(-1, 3)[places.view(-1)].view(*places.shape, 3).mul_(inside[:, :, None])
    pixels.index_copy_(0, rows, moved)


def sharpen(pixels: Tensor, given: Given, settings: tuple[int, ...]) -> None:
    """As `blur.sharpness`."""
    rows, begins, px = given.whole(), given.whole(-1, 1), given.whole(-1, 1)
    x, y = _columns_and_rows(pixels, given.whole(-1, 1), px)
    factor = given.single(-1, 1, 1)
    last = px - 1
    within = (x > 0) & (x < last) & (y > 0) & (y < last)  # the outermost pixels have themselves for neighbours
    sideways = within.long()[:, :, None]
    step = torch.arange(-1, 2, device=pixels.device)
    lines = torch.addcmul(x.add(begins), y, px)[:, :, None] + sideways * px[:, :, None] * step
    places = lines[:, :, :, None] + (sideways * step)[:, :, None, :]
    square = pixels.view(-1, 3)[places.view(-1)].view(*places.shape, 3)
    middle = square[:, :, 1, 1]
    total = square.sum(dim=(2, 3), dtype=torch.float32).add_(middle, alpha=4)
    smooth = total.add_(6.5).mul_(1 / 13).floor_()
    changed = (middle - smooth).mul_(factor).add_(smooth).clamp_(0, 255)
    pixels.index_copy_(0, rows, changed.to(torch.uint8))


def _columns_and_rows(pixels: Tensor, before: Tensor, px: Tensor) -> tuple[Tensor, Tensor]:
    """x and y, (n, K), of the pixels of chunks before which so many pixels of the image come."""
    place = before + torch.arange(pixels.shape[1], device=pixels.device)
    y = place // px
    return place.sub_(y * px), y


def slide(images: Tensor, given: Given, settings: tuple[int, ...]) -> None:
    """Shear and translation of `geometry`, along rows and along columns, with both interpolations."""
    along, upright = given.whole(), given.whole()
    slope, offset, cubic = given.double(-1, 1), given.double(-1, 1), given.single(-1, 1, 1, 1) > 0
    fill, steps, size = given.single(), given.whole(), images.shape[1]
    standing = images.transpose(1, 2)
    chosen = torch.cat([images.index_select(0, along), standing.index_select(0, upright)])
    centres = _centres(size, images)
    source = centres + torch.addcmul(offset, slope, centres)[:, :, None]  # (n, lines, size)
    first, fraction = _split(source)
    places = _neighbours(first, steps, size).flatten(2)[..., None].expand(-1, -1, -1, 3)
    read = chosen.gather(2, places).float().view(*source.shape, 4, 3)
    values = _between(read.unbind(3), fraction[..., None], cubic)
    moved = _filled(values, _is_inside(source, size), fill)
    images.index_copy_(0, along, moved[: len(along)])
    standing.index_copy_(0, upright, moved[len(along) :])


def turn(images: Tensor, given: Given, settings: tuple[int, ...]) -> None:
    """Rotation of `geometry`, with both interpolations."""
    rows = given.whole()
    per_column, per_row = given.double(2, -1, 1, 1), given.double(2, -1, 1, 1)
    cubic, fill, steps = given.single(-1, 1, 1, 1) > 0, given.single(), given.whole()
    at_once = max(1, _READS_AT_ONCE // (16 * images.shape[1] ** 2))
    for first in range(0, len(rows), at_once):
        part = slice(first, first + at_once)
        _turn(images, rows[part], per_column[:, part], per_row[:, part], cubic[part], fill, steps)


def _turn(
    images: Tensor, rows: Tensor, per_column: Tensor, per_row: Tensor, cubic: Tensor, fill: Tensor, steps: Tensor
) -> None:
    size = images.shape[1]
    chosen = images.index_select(0, rows).flatten(1, 2)  # (n, px², 3)
    from_middle = torch.arange(0.5 - size / 2, size / 2, dtype=torch.float64, device=images.device)
    source = per_column * from_middle + per_row * from_middle[:, None] + size / 2  # (across and down, n, px, px)
    first, fraction = _split(source)
    columns, lines = _neighbours(first, steps, size).unbind(0)  # (n, px, px, 4)
    places = lines.mul_(size)[..., :, None] + columns[..., None, :]
    read = chosen.gather(1, places.flatten(1)[..., None].expand(-1, -1, 3)).float().view(*places.shape, 3)
    across, down = fraction[..., None].unbind(0)
    values = _between(read.unbind(4), across[..., None], cubic[..., None])
    values = _between(values.unbind(3), down, cubic)
    inside = _is_inside(source, size).all(dim=0)
    images.index_copy_(0, rows, _filled(values, inside, fill))


def _split(source: Tensor) -> tuple[Tensor, Tensor]:
    """The pixel whose centre comes before a position, int64, and how far beyond it that lies, float32 0-1."""
    corner = source - 0.5
    whole = corner.floor()
    return whole.long(), corner.sub_(whole).float()


def _neighbours(first: Tensor, steps: Tensor, size: int) -> Tensor:
    """(..., 4): the pixel before `first`, it and the two after it, within the image."""
    return (first[..., None] + steps).clamp_(0, size - 1)


def _is_inside(source: Tensor, size: int) -> Tensor:
    """Which positions lie in [0, size)."""
    return source.clamp(0, math.nextafter(size, 0)) == source


def _between(read: tuple[Tensor, ...], d: Tensor, cubic: Tensor) -> Tensor:
    """As `geometry._interpolate`: of four neighbours the cubic, of the inner two the straight line."""
    v1, v2, v3, v4 = read
    straight = (v3 - v2).mul_(d).add_(v2)
    drop = v1 - v2
    inner = torch.add(v3, drop, alpha=2).sub_(v4) - d * drop.add_(v3).sub_(v4)
    curved = inner.mul_(d).add_(v3 - v1).mul_(d).add_(v2)  # sums and products apart: a fused one rounds otherwise
    return torch.where(cubic, curved, straight)


def _filled(values: Tensor, inside: Tensor, fill: Tensor) -> Tensor:
    return torch.where(inside[..., None], values.clamp_(0, 255), fill).to(torch.uint8)


def _centres(size: int, images: Tensor) -> Tensor:
    return torch.arange(0.5, size, dtype=torch.float64, device=images.device)
