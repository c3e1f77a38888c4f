"""Kernels on colours for images of several sizes at once: see `plan`. Each equals its function in `colour` bit by bit.

Pixels are (C, K, 3), uint8, C chunks of K pixels; what is changed is changed in place. Written for few launches: on a
GPU each costs more than the arithmetic of a hundred photos. The chains on colours alone may be run by a compiler.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from . import colour
from .given import Given

Chain = Callable[..., Tensor]
Run = Callable[[Chain], Chain]

_RED, _GREEN, _BLUE = (weight / 65536 for weight in (19595, 38470, 7471))  # exact: 16 bits after the point
_HALF = torch.tensor(0.5)  # without dimensions: a number on any device


def as_it_is(function: Chain) -> Chain:
    """Run a chain of operations one by one."""
    return function


def gray(pixels: Tensor, given: Given, settings: tuple[int, ...], run: Run = as_it_is) -> None:
    """As `colour.grayscale`."""
    rows = given.whole()
    pixels.index_copy_(0, rows, run(_grayed)(pixels.index_select(0, rows)))


def enhance(pixels: Tensor, given: Given, settings: tuple[int, ...], run: Run = as_it_is) -> None:
    """Brightness, contrast and saturation: away from black, from the mean's even grey, or from the image's grey."""
    has_contrast, is_whole = settings
    rows = given.whole()
    factor, of_gray = given.single(-1, 1, 1), given.single(-1, 1, 1)
    areas, each = given.double(), None if is_whole else given.whole()
    chosen = pixels.index_select(0, rows)
    if has_contrast:
        changed = run(_contrasted)(chosen, factor, of_gray, areas, each)
    else:
        changed = run(_blended)(chosen, factor, of_gray)
    pixels.index_copy_(0, rows, changed)


def shift_hue(pixels: Tensor, given: Given, settings: tuple[int, ...], run: Run = as_it_is) -> None:
    """As `colour.shift_hue`."""
    rows, turn, offsets = given.whole(), given.single(-1, 1, 1), given.single()
    pixels.index_copy_(0, rows, run(_hue_shifted)(pixels.index_select(0, rows), turn, offsets))


def look_up(pixels: Tensor, given: Given, settings: tuple[int, ...]) -> None:
    """Values replaced by tables: those that were known, then equalize's and autocontrast's from the images."""
    known, equalized, stretched = settings
    rows, begins, tables = given.whole(), given.whole(-1, 1, 3), given.whole(known, 256).to(torch.uint8)
    if equalized or stretched:
        counts = _histograms(pixels, given, equalized + stretched)
        flat, wide = colour.flattening(counts[: 3 * equalized]), _stretching(counts[3 * equalized :])
        tables = torch.cat([tables, flat, wide])
    places = pixels.index_select(0, rows) + begins
    pixels.index_copy_(0, rows, tables.take(places))


def _grayed(chosen: Tensor) -> Tensor:
    return _luma(chosen).to(torch.uint8).expand(-1, -1, 3)


def _contrasted(chosen: Tensor, factor: Tensor, of_gray: Tensor, areas: Tensor, each: Tensor | None) -> Tensor:
    low = _luma(chosen)
    mean = _mean(low, areas, each)
    return _between(torch.addcmul(mean.view(-1, 1, 1), low, of_gray), chosen, factor)


def _blended(chosen: Tensor, factor: Tensor, of_gray: Tensor) -> Tensor:
    return _between(_luma(chosen).mul_(of_gray), chosen, factor)


def _between(low: Tensor, chosen: Tensor, factor: Tensor) -> Tensor:
    return (chosen - low).mul_(factor).add_(low).clamp_(0, 255).to(torch.uint8)


def _hue_shifted(chosen: Tensor, turn: Tensor, offsets: Tensor) -> Tensor:
    hue, saturation, value = _to_hsv(chosen.float())
    hue.add_(turn)
    hue.sub_((hue / 256).floor_(), alpha=256)
    chroma = saturation.mul_(value).div_(255)
    place = (hue * (6 / 255)) + offsets
    place.sub_((place / 6).floor_(), alpha=6)
    away = torch.minimum(place, 4 - place).clamp_(0, 1).mul_(chroma)
    return (value - away).add_(0.5).to(torch.uint8)


def _luma(pixels: Tensor) -> Tensor:
    """(n, K, 1), float32, whole numbers, as `colour.gray`: every sum is exact in float32."""
    red, green, blue = pixels.split(1, dim=2)
    return torch.add(_HALF, red, alpha=_RED).add_(green, alpha=_GREEN).add_(blue, alpha=_BLUE).floor_()


def _mean(luma: Tensor, areas: Tensor, each: Tensor | None) -> Tensor:
    """The rounded mean of each chunk's image, (n,), float32, 0 of a boundless area; sums are exact in float64."""
    total = luma.sum(dim=(1, 2), dtype=torch.float64)
    if each is not None:
        total = torch.zeros_like(areas).index_add_(0, each, total)
    mean = total.add_(areas, alpha=0.5).div_(areas, rounding_mode="floor")
    return (mean if each is None else mean.index_select(0, each)).float()


def _histograms(pixels: Tensor, given: Given, images: int) -> Tensor:
    """Pixels of each value, (3 · images, 256), int64."""
    rows, begins = given.whole(), given.whole(-1, 1, 3)
    places = (pixels.index_select(0, rows) + begins).flatten()
    counts = places.new_zeros(3 * images * 256)
    return counts.scatter_add_(0, places, places.new_ones(1).expand(len(places))).view(-1, 256)


def _stretching(counts: Tensor) -> Tensor:
    """Autocontrast's tables (n, 256) of histograms (n, 256)."""
    values = torch.arange(256, device=counts.device)
    occurs = counts > 0
    low = torch.where(occurs, values, 255).amin(dim=1, keepdim=True)
    return colour.stretching(low, (occurs * values).amax(dim=1, keepdim=True))


def _to_hsv(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As in `colour`, each (n, K, 1), with the channels' differences taken at once."""
    value, least = rgb.amax(dim=2, keepdim=True), rgb.amin(dim=2, keepdim=True)
    spread = value - least
    middle = torch.add(least, value, alpha=2).sub_(rgb.sum(dim=2, keepdim=True)).div_(spread.clamp(min=1))
    not_red, not_green = (value - rgb[:, :, :2]).sign_().split(1, dim=2)
    red_blue, green_red, blue_green = (rgb - rgb.roll(1, dims=2)).sign_().split(1, dim=2)
    side = torch.lerp(blue_green, torch.lerp(red_blue, green_red, not_green), not_red)
    corner = (not_green + 1).mul_(2).mul_(not_red)
    hue = corner.sub_(side).addcmul_(side, middle).div_(6)
    hue = hue.sub_(hue.floor()).mul_(255).floor_()
    return hue, spread.div_(value.clamp(min=1)).mul_(255).floor_(), value
