"""All of a step in one piece of memory: a plan's numbers, then the pixels of all crops, for one copy to the device."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..views.plan import Plan

_BYTES = 8  # of a float or an integer


class Packed(NamedTuple):
    """A plan and its memory, (bytes,), uint8: floats, integers and, unless the photos are on the device, pixels."""

    plan: Plan
    memory: Tensor


class Unpacked(NamedTuple):
    """Floats, float64, integers, int64, and pixels (P, 3), uint8, of which there may be none; all in one memory."""

    floats: Tensor
    ints: Tensor
    pixels: Tensor


def pack(plan: Plan, floats: Tensor, ints: Tensor, crops: Mapping[str, Sequence[Tensor]]) -> Packed:
    """Copy it all together.

    Args:
        crops: by view, of each image (3, px, px), uint8; empty where they are made on the device.
    """
    pixels = plan.pixels if crops else 0
    memory = torch.empty(_BYTES * (len(floats) + len(ints)) + 3 * pixels, dtype=torch.uint8)
    packed = Packed(plan, memory)
    parts = unpack(packed)
    parts.floats.copy_(floats)
    parts.ints.copy_(ints)
    for name, images in crops.items():
        for place, image in zip(pixels_of(plan, name, parts.pixels), images, strict=True):
            place.copy_(image.permute(1, 2, 0))
    return packed


def unpack(packed: Packed) -> Unpacked:
    """Views into the memory, wherever it lies."""
    plan, memory = packed
    floats, ints = _BYTES * sum(plan.floats), _BYTES * sum(plan.ints)
    first, second, rest = memory.split_with_sizes([floats, ints, len(memory) - floats - ints])
    return Unpacked(first.view(torch.float64), second.view(torch.int64), rest.view(-1, 3))


def pixels_of(plan: Plan, name: str, pixels: Tensor) -> Tensor:
    """Those of a view's crops, (N, px, px, 3)."""
    first, images, px = plan.places[name]
    return pixels[first : first + images * px**2].view(images, px, px, 3)
