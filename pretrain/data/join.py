"""The portions of a step, as several workers hand them over, put together to the whole of it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..views.view import View
from .packed_batch import Packed, add_pixels, crops_in, plan_step
from .worker import WorkerBatch


class Whole(NamedTuple):
    """All images of a step.

    Args:
        samples: (N,), int64. None when no image at all could be read.
        images: by view, rendered; or crops (N, 3, px, px), uint8; or the crops' boxes. Empty where `packed` has all.
        numbers: by view, (N, width), to render crops with that have no plan.
        unreadable: path and reason of every image that was met and could not be read.
        packed: the plan of all views, with the crops unless `images` has their boxes.
    """

    samples: NDArray[np.int64]
    images: dict[str, Tensor]
    numbers: dict[str, NDArray[np.float64]]
    unreadable: list[tuple[str, str]]
    packed: Packed | None = None


def next_step(portions: Iterator[WorkerBatch], views: Sequence[View], *, pin: bool = False) -> Whole | None:
    """The step that the next portions make; None after the last.

    Args:
        pin: put what goes to a device into memory that a GPU copies from by itself.
    """
    parts: list[WorkerBatch] = []
    for portion in portions:
        parts.append(portion)
        if portion.is_last:
            return join(parts, views, pin=pin)
    return None


def join(portions: Sequence[WorkerBatch], views: Sequence[View], *, pin: bool = False) -> Whole:
    """Portions of one step, in their order; `pin` as for `next_step`."""
    unreadable = [each for portion in portions for each in portion.unreadable]
    if not all(len(portion.samples) for portion in portions):
        return Whole(np.empty(0, np.int64), {}, {}, unreadable)
    samples = np.concatenate([portion.samples for portion in portions])
    images = {name: _cat([portion.images[name] for portion in portions], pin) for name in portions[0].images}
    numbers = {name: np.concatenate([each.numbers[name] for each in portions]) for name in portions[0].numbers}
    packed = _plan_of(samples, portions, views, numbers)
    crops = [crops_in(portion.crops, views, len(portion.samples)) for portion in portions if portion.crops is not None]
    if not crops:
        return Whole(samples, images, numbers, unreadable, packed)
    if packed is not None:
        return Whole(samples, {}, {}, unreadable, add_pixels(packed, crops, pin=pin))
    joined = {view.name: _cat([each[view.name] for each in crops], pin).permute(0, 3, 1, 2) for view in views}
    return Whole(samples, joined, numbers, unreadable)


def _plan_of(
    samples: NDArray[np.int64],
    portions: Sequence[WorkerBatch],
    views: Sequence[View],
    numbers: dict[str, NDArray[np.float64]],
) -> Packed | None:
    """The one that a worker made; anew, where an unreadable image was replaced since."""
    made = next((portion.planned for portion in portions if portion.planned is not None), None)
    if made is None or np.array_equal(made[0], samples):
        return None if made is None else made[1]
    return plan_step(views, [numbers[view.name] for view in views])


def _cat(parts: Sequence[Tensor], pin: bool) -> Tensor:
    if len(parts) == 1 and not pin:
        return parts[0]
    if not pin:
        return torch.cat(list(parts))
    shape = (sum(map(len, parts)), *parts[0].shape[1:])
    return torch.cat(list(parts), out=torch.empty(shape, dtype=parts[0].dtype, pin_memory=True))
