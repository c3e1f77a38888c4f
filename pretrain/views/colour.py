"""Point-wise colour operations on uint8 batches, equal to Pillow's for given parameters.

Images are (n, 3, H, W), RGB, uint8; parameters are (n,), float64, on the CPU. Pillow rounds to 8 bits after every
operation and so do we; its arithmetic can be followed exactly in float32.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from . import compiled

_RED, _GREEN, _BLUE = (weight / 65536 for weight in (19595, 38470, 7471))  # exact: 16 bits after the point


def gray(images: Tensor) -> Tensor:
    """Luma (n, 1, H, W), uint8: (19595 R + 38470 G + 7471 B) / 65536, rounded, as `Image.convert("L")`."""
    return to_uint8(_luma(images.float()))


def _luma(values: Tensor) -> Tensor:
    """The same, (n, 1, H, W), float32, of float32: each sum has less than 24 bits, so it is exact."""
    red, green, blue = values.split(1, dim=1)
    total = torch.full_like(red, 0.5, memory_format=torch.contiguous_format)
    return total.add_(red, alpha=_RED).add_(green, alpha=_GREEN).add_(blue, alpha=_BLUE).floor_()


def grayscale(images: Tensor) -> Tensor:
    """Luma in all three channels."""
    return gray(images).expand_as(images)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Between black (0), the image (1) and beyond, as `ImageEnhance.Brightness`."""
    if kernels := compiled.kernels_for(images):
        return compiled.changed(kernels.brightness, images, compiled.single(factor))
    return _cut_to_uint8(images.float().mul_(_over_pixels(factor, images)))


def add_brightness(images: Tensor, amount: Tensor) -> Tensor:
    """All channels raised (lowered, below 0) by a share of full brightness, rounded and cut to 0-255."""
    return _cut_to_uint8(images.float().add_(_over_pixels(amount, images) * 255 + 0.5))


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Between the even grey of the image's mean luma (0), the image (1) and beyond, as `ImageEnhance.Contrast`."""
    if kernels := compiled.kernels_for(images):
        return compiled.changed(kernels.contrast, images, compiled.single(factor))
    values = images.float()
    luma = _luma(values)
    pixels = luma[0].numel()
    mean = (luma.sum(dim=(1, 2, 3), dtype=torch.float64).long() * 2 + pixels) // (2 * pixels)  # rounded half up
    return _blend_in(values, mean[:, None, None, None].float(), factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Between grey (0), the image (1) and beyond, as `ImageEnhance.Color`."""
    if kernels := compiled.kernels_for(images):
        return compiled.changed(kernels.saturation, images, compiled.single(factor))
    values = images.float()
    return _blend_in(values, _luma(values), factor)


def blend(away: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    """away + factor · (images − away), cut to 0-255 and truncated, as `Image.blend`."""
    return _blend_in(images.float(), away.float(), factor)


def _blend_in(values: Tensor, away: Tensor, factor: Tensor) -> Tensor:
    """The same of float32 values, which it changes."""
    return _cut_to_uint8(values.sub_(away).mul_(_over_pixels(factor, values)).add_(away))


def invert(images: Tensor) -> Tensor:
    """255 minus the image."""
    return 255 - images


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Pixels at or above the threshold (0-256) inverted; 256 changes nothing."""
    below = images.short() < _over_pixels(threshold, images).short()
    return images ^ below.view(torch.uint8).sub_(1)  # 0 below, 255 from there on


def solarize_add(images: Tensor, amount: Tensor) -> Tensor:
    """Pixels below 128 raised by a whole amount, up to 255."""
    is_dark = (images < 128).view(torch.uint8)
    raised = images + is_dark.mul_(_over_pixels(amount, images).to(torch.uint8))
    return raised | (raised < images).view(torch.uint8).mul_(255)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Only the leading bits (0-8, whole) of each channel; the others become 0."""
    mask = 256 - 2 ** (8 - bits.to(torch.int64))
    return images & mask.to(images.device, torch.uint8)[:, None, None, None]


def autocontrast(images: Tensor) -> Tensor:
    """Each channel stretched so that its darkest pixel is 0 and its brightest 255, as `ImageOps.autocontrast`."""
    low, high = images.amin(dim=(2, 3))[:, :, None], images.amax(dim=(2, 3))[:, :, None]
    return _look_up(stretching(low, high), images)


def equalize(images: Tensor) -> Tensor:
    """Each channel's histogram flattened, as `ImageOps.equalize`."""
    return _look_up(flattening(_histogram(images)), images)


def stretching(low: Tensor, high: Tensor) -> Tensor:
    """What autocontrast makes of each value (..., 256), uint8, from the darkest and the brightest pixel (..., 1)."""
    low = low.double()
    span = high.double() - low
    scale = torch.full_like(span, 255.0) / span  # a scalar over a tensor would be a rounded reciprocal
    values = torch.arange(256, dtype=torch.float64, device=low.device)
    table = (values * scale + -low * scale).clamp(0, 255)
    return torch.where(span > 0, table, values).to(torch.uint8)


def flattening(counts: Tensor) -> Tensor:
    """What equalize makes of each value, uint8, from how many pixels have it: both (..., 256)."""
    values = torch.arange(256, device=counts.device)
    brightest = (counts > 0).mul(values).amax(dim=-1, keepdim=True)
    step = (counts.sum(dim=-1, keepdim=True) - counts.gather(-1, brightest)) // 255
    darker = counts.cumsum(dim=-1) - counts
    table = ((step // 2 + darker) // step.clamp(min=1)).clamp(max=255)
    return torch.where(step > 0, table, values).to(torch.uint8)


def shift_hue(images: Tensor, turn: Tensor) -> Tensor:
    """Hue moved by a share of a full turn (-0.5 to 0.5) on Pillow's 8-bit HSV, as torchvision's `adjust_hue`."""
    shift = (turn * 255).trunc().long().remainder(256).to(images.device, torch.uint8)
    if kernels := compiled.kernels_for(images):
        return compiled.changed(kernels.shift_hue, images, shift.numpy(), _trapezoids().numpy())
    hue, saturation, value = _split_hsv(images)
    return _from_hsv(to_uint8(hue).add_(shift[:, None, None, None]), saturation, value)


def split_hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue, saturation, value, each (n, 1, H, W), float32, whole numbers 0-255: Pillow's for all 2**24 colours."""
    hue, saturation, value = _split_hsv(images)
    return hue.floor_().mul_(saturation.sign()), saturation, value


def _split_hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same with the hue not yet cut, and any hue of grey.

    Whatever 8 bits can hold is worked out in 8 bits, several times as fast as in float32; `torch.where` is slower than
    both. With how far the middle channel lies below the largest, each sixth of the colour wheel takes a single rounded
    sum, where float32 agrees with Pillow's mixture of float and double.
    """
    red, green, blue = images.split(1, dim=1)
    high, low = torch.maximum(red, green), torch.minimum(red, green)
    value, least = torch.maximum(high, blue), torch.minimum(low, blue)
    spread = value - least
    below = value - torch.maximum(low, torch.minimum(high, blue))
    middle = below.float().div_(spread.clamp(min=1).float())
    not_red, not_green = _is(value != red), _is(value != green)
    corner = not_green.mul_(2).add_(2).mul_(not_red)  # 0, 2, 4 where red, green, blue is the largest
    # Two of these three hold where the hue lies before the corner, one where it lies behind.
    holding = _is(blue > green).add_(_is(red >= blue)).add_(_is(green > red))
    side = holding.view(torch.int8).mul_(2).sub_(3)  # 1 before, -1 behind
    sixth = corner.view(torch.int8).sub_(side).float().add_(middle.mul_(side.float()))
    hue = sixth.div_(6)
    hue = hue.sub_(hue.floor()).mul_(255)
    ratio = spread.float().div_(value.clamp(min=1).float())
    return hue, ratio.mul_(255).floor_(), value.float()


def _is(condition: Tensor) -> Tensor:
    """1 or 0, uint8."""
    return condition.view(torch.uint8)


def _from_hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Back to RGB (n, 3, H, W), uint8: channel c is v · (1 − s · k), with k looked up for each hue, uint8."""
    chroma, places = (value * saturation).div_(255), hue.flatten().long()
    rgb = torch.empty(len(hue), 3, *hue.shape[2:], dtype=torch.uint8, device=hue.device)
    for channel, table in enumerate(_trapezoids().to(hue.device)):
        away = table.index_select(0, places).view_as(chroma)
        rgb[:, channel : channel + 1] = to_uint8(torch.sub(value, away.mul_(chroma), out=away).add_(0.5))
    return rgb


@cache
def _trapezoids() -> Tensor:
    """k of red, green and blue for each hue, (3, 256): 0 around the channel's own third of the wheel, 1 opposite."""
    place = torch.arange(256) * (6 / 255) + torch.tensor([[5.0], [3.0], [1.0]])
    place -= (place / 6).floor_().mul_(6)
    return torch.minimum(place, 4 - place).clamp_(0, 1)


def _look_up(table: Tensor, images: Tensor) -> Tensor:
    """Every pixel replaced by its channel's table (n, 3, 256)."""
    return table.gather(2, images.flatten(2).long()).view_as(images)


def _histogram(images: Tensor) -> Tensor:
    """Pixels of each value, (n, 3, 256), int64."""
    values = images.flatten(2).long()
    counts = values.new_zeros(*values.shape[:2], 256)
    return counts.scatter_add_(2, values, torch.ones_like(values))


def _over_pixels(values: Tensor, images: Tensor) -> Tensor:
    """A number for each image (n,) as float32 (n, 1, 1, 1) on the images' device."""
    return values.to(images.device, torch.float32)[:, None, None, None]


def to_uint8(values: Tensor) -> Tensor:
    """Numbers from 0 to below 256, cut; on a CPU by NumPy, which is ten times as fast there."""
    if values.device.type == "cpu":
        return torch.from_numpy(values.numpy().astype(np.uint8))
    return values.to(torch.uint8)


def _cut_to_uint8(values: Tensor) -> Tensor:
    return to_uint8(values.clamp_(0, 255))
