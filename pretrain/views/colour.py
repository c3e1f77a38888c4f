"""Point-wise colour operations on uint8 batches, equal to Pillow's for given parameters.

Images are (n, 3, H, W), RGB, uint8; parameters are (n,), float64, on the CPU. Pillow rounds to 8 bits after every
operation and so do we; its arithmetic can be followed exactly in float32.
"""

import torch
from torch import Tensor


def gray(images: Tensor) -> Tensor:
    """Luma (n, 1, H, W), uint8: (19595 R + 38470 G + 7471 B) / 65536, rounded, as `Image.convert("L")`."""
    red, green, blue = images.split(1, dim=1)
    weighted = red * 19595.0  # whole numbers below 2**24 are exact in float32
    weighted += green * 38470.0
    weighted += blue * 7471.0
    return weighted.add_(32768.0).mul_(1 / 65536).to(torch.uint8)


def grayscale(images: Tensor) -> Tensor:
    """Luma in all three channels."""
    return gray(images).expand_as(images)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Between black (0), the image (1) and beyond, as `ImageEnhance.Brightness`."""
    return _to_uint8(images * _over_pixels(factor, images))


def add_brightness(images: Tensor, amount: Tensor) -> Tensor:
    """All channels raised (lowered, below 0) by a share of full brightness, rounded and cut to 0-255."""
    return _to_uint8(images + (_over_pixels(amount, images) * 255 + 0.5))


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Between the even grey of the image's mean luma (0), the image (1) and beyond, as `ImageEnhance.Contrast`."""
    luma = gray(images)
    pixels = luma[0].numel()
    mean = (luma.sum(dim=(1, 2, 3), dtype=torch.int64) * 2 + pixels) // (2 * pixels)  # rounded half up
    return blend(mean[:, None, None, None].to(torch.uint8), images, factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Between grey (0), the image (1) and beyond, as `ImageEnhance.Color`."""
    return blend(gray(images), images, factor)


def blend(away: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    """away + factor · (images − away), cut to 0-255 and truncated, as `Image.blend`."""
    low = away.float()
    moved = images - low
    return _to_uint8(moved.mul_(_over_pixels(factor, images)).add_(low))


def invert(images: Tensor) -> Tensor:
    """255 minus the image."""
    return 255 - images


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Pixels at or above the threshold (0-256) inverted; 256 changes nothing."""
    return images ^ (images >= _over_pixels(threshold, images)).to(torch.uint8).mul_(255)


def solarize_add(images: Tensor, amount: Tensor) -> Tensor:
    """Pixels below 128 raised by a whole amount, up to 255."""
    return _to_uint8(images + (images < 128) * _over_pixels(amount, images))


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
    hue, saturation, value = split_hsv(images)
    hue += _over_pixels((turn * 255).trunc(), images)
    return _from_hsv(_wrapped(hue, 256), saturation, value)


def split_hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue, saturation, value, each (n, 1, H, W), float32, whole numbers 0-255: Pillow's for all 2**24 colours.

    Choices are made by multiplying with signs: several times as fast on a CPU as `torch.where` on a photo.
    """
    red, green, blue = images.float().split(1, dim=1)
    value = torch.maximum(torch.maximum(red, green), blue)
    least = torch.minimum(torch.minimum(red, green), blue)
    spread = value - least
    # How far the middle channel lies below the largest. With it each sixth of the colour wheel takes a single rounded
    # sum, where float32 agrees with Pillow's mixture of float and double.
    middle = (value - (red + green + blue - value - least)).div_(spread.clamp(min=1))
    not_red, not_green = (value - red).sign_(), (value - green).sign_()
    of_rest = torch.lerp((red - blue).sign_(), (green - red).sign_(), not_green)
    side = torch.lerp((blue - green).sign_(), of_rest, not_red)
    corner = not_red * (2 + 2 * not_green)  # 0, 2, 4 where red, green, blue is the largest
    sixth = (corner - side).add_(side.mul_(middle))
    hue = _wrapped(sixth.div_(6), 1).mul_(255).floor_()
    return hue, (spread / value.clamp(min=1)).mul_(255).floor_(), value


def _from_hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Back to RGB (n, 3, H, W), uint8: channel c is v · (1 − s · k) with k a trapezoid of the hue."""
    sixth = hue * (6 / 255)
    chroma = (value * saturation).div_(255)
    rgb = torch.empty(len(hue), 3, *hue.shape[2:], dtype=torch.uint8, device=hue.device)
    for channel, offset in enumerate((5.0, 3.0, 1.0)):
        place = _wrapped(sixth + offset, 6)
        away = torch.minimum(place, 4 - place).clamp_(0, 1)
        rgb[:, channel : channel + 1] = (value - away.mul_(chroma)).add_(0.5)
    return rgb


def _wrapped(values: Tensor, period: int) -> Tensor:
    """Values modulo the period, in place; much quicker than `%` on a CPU."""
    return values.sub_((values / period).floor_().mul_(period))


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


def _to_uint8(values: Tensor) -> Tensor:
    return values.clamp_(0, 255).to(torch.uint8)
