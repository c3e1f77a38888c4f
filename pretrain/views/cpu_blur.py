"""The box blur of `blur` on a CPU, bit by bit: channels with their margins are one long row each, whatever the axis.

So each neighbour is the same row begun a little later, which NumPy adds without looking at edges, in 16 bits.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_BOXES = 3
_HALF, _BITS = np.uint32(2**23), np.uint32(24)  # after the point

Channels = NDArray[np.uint16]


def boxes(images: Tensor, weights: Tensor) -> Tensor:
    """Three box blurs an axis of (n, 3, H, W), uint8, with `box_weights`, first along the rows."""
    values = images.numpy().astype(np.uint16).reshape(-1, *images.shape[2:])
    each = np.repeat(weights.numpy().astype(np.uint32), images.shape[1], axis=0)  # (3 n, reach + 1)
    blurred = _along(_along(values, each, axis=2), each, axis=1)
    return torch.from_numpy(blurred.astype(np.uint8)).view(images.shape)


def _along(values: Channels, weights: NDArray[np.uint32], axis: int) -> Channels:
    """Three box blurs of (c, H, W) along the columns' numbers (axis 2) or the rows' (1)."""
    reach, size = weights.shape[1] - 1, values.shape[axis]
    margins = [(0, 0), (0, 0), (0, 0)]
    margins[axis] = (reach, reach)
    wide = np.pad(values, margins, mode="edge")
    before, inner, behind = np.split(wide, [reach, reach + size], axis=axis)
    rows, step = wide.reshape(len(wide), -1), 1 if axis == 2 else values.shape[2]
    for _ in range(_BOXES):
        before[:], behind[:] = inner.take([0], axis), inner.take([size - 1], axis)
        _blur(rows, weights, step)
    return inner


def _blur(rows: Channels, weights: NDArray[np.uint32], step: int) -> None:
    """In place, all but the first and last `reach` steps of each row: what comes out of the margins is of no use."""
    reach = weights.shape[1] - 1
    end = rows.shape[1] - reach * step
    total = rows[:, reach * step : end].astype(np.uint32)
    total *= weights[:, :1]
    total += _HALF
    for offset in range(1, reach + 1):
        nearer, farther = (reach - offset) * step, (reach + offset) * step
        pair = rows[:, nearer : end - offset * step] + rows[:, farther : end + offset * step]
        both = pair.astype(np.uint32)
        both *= weights[:, offset : offset + 1]
        total += both
    total >>= _BITS
    rows[:, reach * step : end] = total
