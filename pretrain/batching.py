"""How an operation reaches the images it is to change: chosen on the CPU, changed where the batch lies."""

from collections.abc import Callable

import torch
from torch import Tensor


def change(batch: Tensor, rows: Tensor, operation: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Write `operation(batch[rows], rows)` over the rows of a batch that the caller owns.

    Args:
        rows: (n,), row numbers, on the CPU; none at all costs nothing.
        operation: takes the n images and their row numbers (to look parameters up) and keeps the images' shape.
    """
    if len(rows) == len(batch):
        batch.copy_(operation(batch, rows))
    elif len(rows):
        there = rows.to(batch.device)
        batch[there] = operation(batch[there], rows)


def rows_where(condition: Tensor) -> Tensor:
    """Row numbers at which a (N,) condition holds."""
    return condition.nonzero()[:, 0]


def per_image(values: Tensor, images: Tensor) -> Tensor:
    """One number an image (n,) as float32 (n, 1, 1, 1) beside the images."""
    return values.to(images.device, torch.float32)[:, None, None, None]


def between(low: float, high: float, uniforms: Tensor) -> Tensor:
    """Uniform numbers in [0, 1) stretched to [low, high)."""
    return low + (high - low) * uniforms
