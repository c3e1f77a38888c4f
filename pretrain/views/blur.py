"""Blur and its opposite on uint8 batches: the two Gaussians of the published pipelines, and sharpness.

Images are (n, 3, H, W), RGB, uint8; sigma is (n,), in pixels, on the CPU. Weighted sums of shifted images rather than
convolutions: the same result in any batch and without the reduced precision that GPUs use for convolutions.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from . import compiled, cpu_blur
from .colour import blend, to_uint8

_BOXES = 3  # Pillow approximates a Gaussian by three box blurs


def pil_blur(images: Tensor, sigma: Tensor) -> Tensor:
    """As Pillow's `ImageFilter.GaussianBlur`: three box blurs of fractional width an axis, 8 bits after each."""
    weights = box_weights(sigma)
    if kernels := compiled.kernels_for(images):
        return compiled.changed(kernels.boxes, images, weights.numpy().view(np.uint32))
    if images.device.type == "cpu":
        return cpu_blur.boxes(images, weights)
    return blur_by_boxes(images, weights.to(images.device))


def box_weights(sigma: Tensor) -> Tensor:
    """Of the pixel itself, its neighbours, those beyond, ...: (n, reach + 1), int32, with 24 bits after the point."""
    radius = _box_radius(sigma.float())
    whole = radius.floor().int()
    inside = (2**24 / (2 * radius + 1)).int()
    outside = (2**24 - (2 * whole + 1) * inside) // 2  # of the two pixels at the rim, covered in part
    offsets = torch.arange(int(whole.max()) + 2)
    weights = torch.where(offsets <= whole[:, None], inside[:, None], 0)
    return torch.where(offsets == whole[:, None] + 1, outside[:, None], weights)


def blur_by_boxes(images: Tensor, weights: Tensor) -> Tensor:
    """Three box blurs an axis with `box_weights`, first along the rows."""
    values = images.int()
    margins = {size: _with_margins(size, weights, "replicate") for size in {*values.shape[2:]}}
    for axis in (3, 2):
        for _ in range(_BOXES):
            total = _symmetric_sum(values, weights, axis, margins[values.shape[axis]]).add_(2**23)
            values = (total >> 24) & 255  # sums above 2**31 wrap; the lowest 8 bits of the shift are right
    return values.to(torch.uint8)


def conv_blur(images: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """A true Gaussian of 2 · radius + 1 taps, edges mirrored, first down the columns, cut (not rounded) to 8 bits.

    Source: PyContrast's convolutional blur (size 22, so radius 11), which SimCLR re-implementations share.
    """
    weights = tap_weights(sigma, radius)
    kernels = compiled.kernels_for(images)
    if kernels and weights.shape[1] <= min(images.shape[2:]):  # a kernel looks at no bounds
        return compiled.changed(kernels.taps, images, weights.numpy())
    return blur_by_taps(images, weights.to(images.device))


def tap_weights(sigma: Tensor, radius: int) -> Tensor:
    """Of the pixel itself, its neighbours, ...: (n, at most radius + 1), float32."""
    offsets = torch.arange(radius + 1)
    weights = torch.exp(-(offsets**2) / (2 * sigma[:, None] ** 2))
    weights = torch.where(weights < 1e-9, 0.0, weights)  # below what float32 can add to a pixel
    weights = weights[:, (weights > 0).any(dim=0)]
    return (weights / (2 * weights.sum(dim=1, keepdim=True) - 1)).float()


def blur_by_taps(images: Tensor, weights: Tensor) -> Tensor:
    """The sums of `conv_blur` with `tap_weights`."""
    values = images.float().div_(255)
    margins = {size: _with_margins(size, weights, "reflect") for size in {*values.shape[2:]}}
    for axis in (2, 3):
        values = _symmetric_sum(values, weights, axis, margins[values.shape[axis]])
    return to_uint8(values.mul_(255).clamp_(max=255))


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """Between a 3x3 smoothing (0), the image (1) and beyond, as `ImageEnhance.Sharpness`; the outermost pixels stay."""
    smooth = images.clone()
    values = images.short()
    rows = values[:, :, :-2] + values[:, :, 1:-1] + values[:, :, 2:]
    sums = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * values[:, :, 1:-1, 1:-1]
    smooth[:, :, 1:-1, 1:-1] = to_uint8(sums.float().add_(6.5).mul_(1 / 13))  # a thirteenth, rounded
    return blend(smooth, images, factor)


def _box_radius(sigma: Tensor) -> Tensor:
    """Radius of the box, three times applied, whose variance is sigma squared (Gwosdek et al. 2011, extended box)."""
    variance = sigma**2 / _BOXES
    whole = ((12 * variance + 1).sqrt().sub(1) / 2).floor()
    part = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance) / (6 * (variance - (whole + 1) ** 2))
    return whole + part


def _symmetric_sum(values: Tensor, weights: Tensor, axis: int, margins: Tensor) -> Tensor:
    """Sum over offsets k of weights[:, k] · (the image moved by k and by −k along the axis); offset 0 counts once."""
    reach, size = weights.shape[1] - 1, values.shape[axis]
    wide = values.index_select(axis, margins)
    total = values * weights[:, 0, None, None, None]
    for offset in range(1, reach + 1):
        pair = wide.narrow(axis, reach - offset, size) + wide.narrow(axis, reach + offset, size)
        total.addcmul_(pair, weights[:, offset, None, None, None])
    return total


def _with_margins(size: int, weights: Tensor, edge: Literal["replicate", "reflect"]) -> Tensor:
    """Which pixels stand beside each other once both edges are continued; torch pads no whole numbers on GPUs."""
    reach = weights.shape[1] - 1
    places = torch.arange(-reach, size + reach, device=weights.device)
    return places.clamp_(0, size - 1) if edge == "replicate" else size - 1 - (size - 1 - places.abs_()).abs_()
