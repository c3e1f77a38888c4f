"""Crops made where the network is: photos lie decoded on the device and a whole batch is cropped at once.

Each crop is a matrix product on either side of its part of the photo, with the weights of Pillow's antialiased
resizing; it agrees with the crops of `decode` within two levels of 8 bits.
"""

import numpy as np
import torch
from torch import Tensor

from ..views.view import Crop
from .decoded_photos import DecodedPhotos

_COPIED_AT_ONCE = 2**28  # bytes
_PIXELS_AT_ONCE = 2**24  # bounds the temporaries: about 400 MB


class PhotosOnDevice:
    """Decoded photos in one tensor on a device."""

    def __init__(self, decoded: DecodedPhotos, device: torch.device | str):
        sizes = np.array([0, *(block.size for block in decoded.blocks)]).cumsum()
        self.pixels = torch.empty(int(sizes[-1]), dtype=torch.uint8, device=device)
        for block, first in zip(decoded.blocks, sizes):
            for start in range(0, block.size, _COPIED_AT_ONCE):
                part = torch.from_numpy(np.array(block[start : start + _COPIED_AT_ONCE]))
                self.pixels[first + start : first + start + len(part)] = part
        self.firsts = torch.from_numpy(sizes[decoded.where[:, 0]] + decoded.where[:, 1]).to(device)
        self.widths = torch.from_numpy(decoded.where[:, 3].copy()).to(device)

    def crops(self, samples: Tensor, boxes: Tensor, crop: Crop) -> Tensor:
        """(N,) positions and (N, 4) boxes, both on the CPU -> (N, 3, px, px), RGB, uint8, on the device."""
        left, top, right, bottom = boxes.unbind(1)
        high, wide = int((bottom - top).max()), int((right - left).max())
        at_once = max(1, _PIXELS_AT_ONCE // (high * wide))
        wanted = torch.cat([samples[:, None], boxes], dim=1).to(self.pixels.device, non_blocking=True)
        return torch.cat([self._crops(part, high, wide, crop) for part in wanted.split(at_once)])

    def _crops(self, wanted: Tensor, high: int, wide: int, crop: Crop) -> Tensor:
        """Of (N, 5) positions and boxes on the device, none of which is larger than said."""
        samples, left, top, right, bottom = wanted.unbind(1)
        heights, widths = bottom - top, right - left
        rows, columns = (torch.arange(side, device=wanted.device) for side in (high, wide))
        y = top[:, None] + torch.minimum(rows, heights[:, None] - 1)  # beyond a box its last row, with weight 0
        x = left[:, None] + torch.minimum(columns, widths[:, None] - 1)
        starts = self.firsts[samples][:, None] + y * self.widths[samples][:, None] * 3  # (N, rows)
        places = starts[:, :, None] + (x * 3)[:, None, :]  # (N, rows, columns)
        down = weights(heights, high, crop)
        across = weights(widths, wide, crop).transpose(1, 2)
        narrow = [_rounded(self.pixels[places + colour].float() @ across) for colour in range(3)]  # as Pillow: 8 bits
        return _rounded(torch.stack([down @ colour for colour in narrow], dim=1)).byte()


def weights(sides: Tensor, longest: int, crop: Crop) -> Tensor:
    """What each pixel of a box gives to each output pixel, along one side: (N, px, longest) for boxes of `sides` (N,).

    Source: Pillow, Resample.c: a triangle, or a cubic with a = -0.5, as wide as an output pixel where it shrinks.
    """
    scale = sides[:, None, None].double() / crop.px
    reach = scale.clamp(min=1.0)
    centre = scale * (torch.arange(crop.px, device=sides.device)[None, :, None] + 0.5)
    pixel = torch.arange(longest, device=sides.device)[None, None, :]
    support = reach * (1.0 if crop.interpolation == "bilinear" else 2.0)
    first, last = (centre - support + 0.5).floor().clamp(min=0), (centre + support + 0.5).floor()
    inside = (pixel >= first) & (pixel < last) & (pixel < sides[:, None, None])
    distance = ((pixel + 0.5 - centre) / reach).abs()
    kernel = (1 - distance).clamp(min=0) if crop.interpolation == "bilinear" else _cubic(distance)
    kernel = kernel * inside
    return (kernel / kernel.sum(dim=2, keepdim=True)).float()


def _rounded(values: Tensor) -> Tensor:
    return values.round_().clamp_(0, 255)


def _cubic(distance: Tensor, a: float = -0.5) -> Tensor:
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = (((distance - 5) * distance + 8) * distance - 4) * a
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
