"""All of a step in one piece of memory: a plan's numbers, then the pixels of all crops, for one copy to the device."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..views.plan import Plan, make_plan
from ..views.view import View

_BYTES = 8  # of a float or an integer


class Packed(NamedTuple):
    """A plan and its memory, (bytes,), uint8: floats, integers and, once they are added, pixels."""

    plan: Plan
    memory: Tensor


class Unpacked(NamedTuple):
    """Floats, float64, integers, int64, and pixels (P, 3), uint8, of which there may be none; all in one memory."""

    floats: Tensor
    ints: Tensor
    pixels: Tensor


def plan_step(views: Sequence[View], rows: Sequence[NDArray[np.float64]]) -> Packed | None:
    """The plan of a step whose images have these uniform numbers, (N, width) of each view; see `make_plan`."""
    planned = make_plan(views, [torch.from_numpy(numbers) for numbers in rows])
    return None if planned is None else pack(*planned)


def pack(plan: Plan, floats: Tensor, ints: Tensor) -> Packed:
    """The plan with its numbers."""
    packed = Packed(plan, torch.empty(_BYTES * (len(floats) + len(ints)), dtype=torch.uint8))
    parts = unpack(packed)
    parts.floats.copy_(floats)
    parts.ints.copy_(ints)
    return packed


def add_pixels(packed: Packed, portions: Sequence[Mapping[str, Tensor]], *, pin: bool = False) -> Packed:
    """The same with the pixels of all crops.

    Args:
        portions: of the images, one after another: by view, crops (n, px, px, 3), uint8.
        pin: into memory that a GPU copies from by itself.
    """
    plan, numbers = packed
    whole = Packed(plan, torch.empty(len(numbers) + 3 * plan.pixels, dtype=torch.uint8, pin_memory=pin))
    whole.memory[: len(numbers)] = numbers
    pixels = unpack(whole).pixels
    for name in plan.places:
        torch.cat([crops[name] for crops in portions], out=pixels_of(plan, name, pixels))
    return whole


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


def pack_crops(views: Sequence[View], crops: Mapping[str, Sequence[Tensor]]) -> Tensor:
    """(bytes,), uint8: the crops of some images, each (3, px, px), view after view, in one tensor."""
    images = len(crops[views[0].name])
    memory = torch.empty(images * sum(3 * view.crop.px**2 for view in views), dtype=torch.uint8)
    for name, room in crops_in(memory, views, images).items():
        torch.stack([crop.permute(1, 2, 0) for crop in crops[name]], out=room)
    return memory


def crops_in(memory: Tensor, views: Sequence[View], images: int) -> dict[str, Tensor]:
    """The crops that `pack_crops` put there, by view (n, px, px, 3)."""
    parts = memory.split_with_sizes([images * 3 * view.crop.px**2 for view in views])
    return {view.name: part.view(images, view.crop.px, view.crop.px, 3) for view, part in zip(views, parts)}
