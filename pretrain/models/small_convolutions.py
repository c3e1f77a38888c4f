"""Convolutions over maps of one or two pixels, as matrix products: for patches and small views on a CPU.

A jigsaw patch of 16 px ends as a single pixel, over which a 3 x 3 kernel has one weight that meets an image and eight
that meet padding. CPU libraries convolve all nine, and their backward pass over such maps is slower still: by 37 times
than the matrix product at 512 channels and one pixel.
"""

from collections import Counter
from functools import cache
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

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

    uses = 0  # forward passes so far

    def forward(self, input: Tensor) -> Tensor:
        if not torch.compiler.is_compiling():
            self.uses += 1
        if input.device.type != "cpu" or max(input.shape[-2:]) > LARGEST:
            return super().forward(input)
        height, width = input.shape[-2:]
        blocks = _blocks(height, width, *self.stride)
        pixels = input.permute(0, 2, 3, 1).flatten(1)  # a view when the input is channels_last
        rows, columns = (height - 1) // self.stride[0] + 1, (width - 1) // self.stride[1] + 1
        matrix = _as_matrix(self, blocks)
        out: Tensor = F.linear(pixels, matrix).unflatten(1, (rows, columns, -1))
        return out.permute(0, 3, 1, 2)


def _is_plain(conv: nn.Conv2d) -> bool:
    plain = conv.kernel_size == (3, 3) and conv.padding == (1, 1) and conv.dilation == (1, 1)
    return plain and conv.groups == 1 and conv.bias is None and conv.padding_mode == "zeros"


Blocks = tuple[tuple[tuple[int, int], ...], ...]


@cache
def _blocks(height: int, width: int, down: int, across: int) -> Blocks:
    """The convolution of a (height, width) map with strides (down, across) as one matrix, by its blocks' taps.

    Row block p and column block q hold the tap through which output pixel p sees input pixel q: 1 + q - stride * p.
    """
    outputs = [(y, x) for y in range(0, height, down) for x in range(0, width, across)]
    inputs = [(y, x) for y in range(height) for x in range(width)]
    return tuple(tuple((1 + qy - py, 1 + qx - px) for qy, qx in inputs) for py, px in outputs)


@cache
def _most_of_a_tap(blocks: Blocks) -> int:
    return max(Counter(chain(*blocks)).values())


@cache
def _fewest_of_a_tap(blocks: Blocks) -> int:
    times = Counter(chain(*blocks))
    return min(times[y, x] for y in range(3) for x in range(3))


def _as_matrix(conv: SmallMapConv2d, blocks: Blocks) -> Tensor:
    weight = conv.weight
    if torch.compiler.is_compiling():  # which joins the slices itself, and does not follow a function of one's own
        return torch.cat([torch.cat([weight[:, :, y, x] for y, x in row], dim=1) for row in blocks])
    matrix: Tensor = _Matrix.apply(blocks, conv, *[weight] * _most_of_a_tap(blocks))
    return matrix


class _Matrix(torch.autograd.Function):
    """The matrix of blocks (see `_blocks`) from a weight, which is given as often as a tap has blocks.

    Taps that slicing takes out cost a gradient of the weight's size each. Here as many as are added to one tap, and
    autograd adds these in the order in which it would add the slices', the last block's first. The convolution's last
    use is the first whose gradient reaches the weight: with nothing there yet, one sum in that order is the same.
    """

    @staticmethod
    def forward(ctx: Any, blocks: Blocks, conv: SmallMapConv2d, *weights: Tensor) -> Tensor:
        ctx.blocks, ctx.like, ctx.copies = blocks, torch.empty_like(weights[0], device="meta"), len(weights)
        ctx.conv, ctx.use = conv, conv.uses
        outputs, inputs = weights[0].shape[:2]
        matrix = weights[0].new_empty(len(blocks) * outputs, len(blocks[0]) * inputs)
        for part, (y, x) in _parts(matrix, blocks):
            part.copy_(weights[0][:, :, y, x])
        return matrix

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        count = 1 if ctx.use == ctx.conv.uses else ctx.copies
        gradients = [_gradient(ctx.like, gradient.device, ctx.blocks, number) for number in range(count)]
        used = Counter[tuple[int, int]]()
        for part, (y, x) in reversed(_parts(gradient, ctx.blocks)):
            times = used[y, x]
            place = gradients[min(times, count - 1)][:, :, y, x]
            if times < count:
                place.copy_(part)
            else:
                place.add_(part)
            used[y, x] += 1
        return None, None, *gradients, *[None] * (ctx.copies - count)


def _gradient(like: Tensor, device: torch.device, blocks: Blocks, number: int) -> Tensor:
    """Where the number-th gradient of a weight goes: zeros, unless each tap has a block that will be copied there."""
    is_filled = number < _fewest_of_a_tap(blocks)
    return torch.empty_like(like, device=device) if is_filled else torch.zeros_like(like, device=device)


def _parts(matrix: Tensor, blocks: Blocks) -> list[tuple[Tensor, tuple[int, int]]]:
    """Each block of the matrix, a view, with its tap."""
    rows = [row.chunk(len(blocks[0]), dim=1) for row in matrix.chunk(len(blocks))]
    return [*zip(chain(*rows), chain(*blocks), strict=True)]
