"""Convolutions over maps of one or two pixels, as matrix products: for patches and small views on a CPU.

A jigsaw patch of 16 px ends as a single pixel, over which a 3 x 3 kernel has one weight that meets an image and eight
that meet padding. CPU libraries convolve all nine, and their backward pass over such maps is slower still: by 37 times
than the matrix product at 512 channels and one pixel.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LARGEST = 2  # from 3 x 3 pixels on the convolution wastes less than the matrix costs to build


def speed_up_small_maps(network: nn.Module) -> nn.Module:
    """Make every plain 3 x 3 convolution of a network compute small maps this way on CPUs.

    Changes the class of those modules in place; their names, tensors and results (but for rounding) stay.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and _is_plain(module):
            module.__class__ = SmallMapConv2d
    return network


def as_plain(network: nn.Module) -> nn.Module:
    """Take `speed_up_small_maps` back, in place: as a GPU computes them."""
    for module in network.modules():
        if type(module) is SmallMapConv2d:
            module.__class__ = nn.Conv2d  # type: ignore[assignment]
    return network


class SmallMapConv2d(nn.Conv2d):
    """A 3 x 3 convolution with padding 1 that treats an image of at most 2 x 2 pixels as one vector."""

    def forward(self, input: Tensor) -> Tensor:
        if input.device.type != "cpu" or max(input.shape[-2:]) > LARGEST:
            return super().forward(input)
        height, width = input.shape[-2:]
        matrix, rows, columns = _as_matrix(self.weight, height, width, *self.stride)
        pixels = input.permute(0, 2, 3, 1).flatten(1)  # a view when the input is channels_last
        out: Tensor = F.linear(pixels, matrix).unflatten(1, (rows, columns, -1))
        return out.permute(0, 3, 1, 2)


def _is_plain(conv: nn.Conv2d) -> bool:
    plain = conv.kernel_size == (3, 3) and conv.padding == (1, 1) and conv.dilation == (1, 1)
    return plain and conv.groups == 1 and conv.bias is None and conv.padding_mode == "zeros"


def _as_matrix(weight: Tensor, height: int, width: int, down: int, across: int) -> tuple[Tensor, int, int]:
    """The convolution of a (height, width) map with strides (down, across) as one matrix, and the output's size.

    Row block p and column block q hold the tap through which output pixel p sees input pixel q: 1 + q - stride * p.
    """
    rows, columns = (height - 1) // down + 1, (width - 1) // across + 1
    outputs = [(y * down, x * across) for y in range(rows) for x in range(columns)]
    inputs = [(y, x) for y in range(height) for x in range(width)]
    taps = [[weight[:, :, 1 + qy - py, 1 + qx - px] for qy, qx in inputs] for py, px in outputs]
    return torch.cat([torch.cat(row, dim=1) for row in taps]), rows, columns
