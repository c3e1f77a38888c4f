"""All views of a step, rendered on the device from a plan: few launches, and the CPU never waits.

The pixels, their plan's numbers and everything made of them stay where they are; what decides which kernel runs is
known on the CPU. Views come out channels last, as the networks take them.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from . import device_colour, device_geometry
from .device_colour import Run, as_it_is
from .given import Given
from .packing import Call
from .plan import Ending, Plan

Kernel = Callable[[Tensor, Given, tuple[int, ...]], None]

_OF_COLOURS: dict[str, Callable[[Tensor, Given, tuple[int, ...], Run], None]] = {
    "gray": device_colour.gray,
    "enhance": device_colour.enhance,
    "hue": device_colour.shift_hue,
}
_ON_CHUNKS: dict[str, Kernel] = {
    "table": device_colour.look_up,
    "nearest": device_geometry.nearest,
    "sharpen": device_geometry.sharpen,
}
_ON_IMAGES: dict[str, Kernel] = {
    "flip": device_geometry.flip,
    "boxes": device_geometry.boxes,
    "taps": device_geometry.taps,
    "slide": device_geometry.slide,
    "turn": device_geometry.turn,
}


def render(plan: Plan, pixels: Tensor, floats: Tensor, ints: Tensor, *, run: Run = as_it_is) -> dict[str, Tensor]:
    """The views by name, each (N, 3, px, px) or (N, P, 3, px, px), as `View.render` makes them.

    Args:
        pixels: (P, 3), uint8, the crops of all views; changed in place.
        floats, ints: of the plan, on the same device.
        run: gives what runs the arithmetic on colours, see `compiled_chains`.
    """
    given = Given(plan, floats, ints)
    for call in plan.calls:
        _run(call, pixels, given, run)
    return {name: view for ending in plan.endings for name, view in _views(ending, pixels, given)}


def _run(call: Call, pixels: Tensor, given: Given, run: Run) -> None:
    part = pixels[call.first : call.end]
    if call.kernel in _OF_COLOURS:
        _OF_COLOURS[call.kernel](part.view(-1, call.size, 3), given, call.settings, run)
    elif call.kernel in _ON_CHUNKS:
        _ON_CHUNKS[call.kernel](part.view(-1, call.size, 3), given, call.settings)
    else:
        _ON_IMAGES[call.kernel](part.view(-1, call.size, call.size, 3), given, call.settings)


def _views(ending: Ending, pixels: Tensor, given: Given) -> Iterator[tuple[str, Tensor]]:
    values = pixels[ending.first : ending.end]
    count, patch_px = ending.patches
    if count:
        ((name, images, px),) = ending.views
        values = values[_patch_places(given.whole(-1, 1, 1), px, patch_px).view(-1)]
    if ending.is_normalized:
        mean, std = given.single(), given.single()
        values = (values / 255).sub_(mean).div_(std)
    if count:
        yield name, values.view(images, count, patch_px, patch_px, 3).permute(0, 1, 4, 2, 3)
        return
    areas = [images * px**2 for _, images, px in ending.views]
    for (name, images, px), part in zip(ending.views, values.split(areas), strict=True):
        yield name, part.view(images, px, px, 3).permute(0, 3, 1, 2)


def _patch_places(starts: Tensor, px: int, patch_px: int) -> Tensor:
    """(patches, patch_px, patch_px): where the pixels of patches lie that start at (patches, 1, 1)."""
    side = torch.arange(patch_px, device=starts.device)
    return starts + (side[:, None] * px + side)
