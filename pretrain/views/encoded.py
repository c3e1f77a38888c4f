"""Operations as rows of numbers: what a loader worker works out of a view's changes, so that a GPU need not ask.

Several functions share a kind, and a kind's images are changed together, whichever view they belong to. What is not
listed in ENCODERS, such as an operation of one's own, is rendered change by change (see `View.render`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import blur, colour, geometry, geometry_nearest
from .change import Change, Scaled, unchanged
from .operations import CONV_RADIUS, mirror

# From cheap to dear, in launches: `run_order` runs a cheap one first where nothing else decides.
KINDS = ("flip", "gray", "enhance", "nearest", "sharpen", "table", "slide", "hue", "turn", "taps", "boxes")
WIDTH = 6  # numbers an operation has at most
KNOWN, EQUALIZE, STRETCH = 0, 1, 2  # the first number of a table: where it comes from
_EVERY_VALUE = torch.arange(256, dtype=torch.uint8)[None, None, None]


class ForeignOperation(Exception):
    """A function that ENCODERS does not list."""


@dataclass(frozen=True)
class Encoded:
    """One change of some images: (n,) rows of the batch, the kind, (n, WIDTH) numbers and tables (n or 0, 256)."""

    rows: NDArray[np.int64]
    kind: int
    numbers: NDArray[np.float64]
    tables: NDArray[np.uint8]


def encode(change: Change, images: int, px: int) -> Encoded | None:
    """A change as numbers; None where it changes nothing.

    Raises:
        ForeignOperation: its function is not listed here.
    """
    rows = torch.arange(images) if change.where is None else change.where.nonzero()[:, 0]
    function, amounts, settings = _plain(change, px)
    if function is unchanged or len(rows) == 0:
        return None
    kind, columns = _encoder(function, settings)
    chosen = [amount[rows] for amount in amounts]
    numbers = np.zeros((len(rows), WIDTH))
    tables = np.empty((0, 256), np.uint8)
    if kind == "table" and columns is None:
        tables = function(_EVERY_VALUE.repeat(len(rows), 1, 1, 1), *chosen).flatten(1).numpy()
    else:
        assert columns is not None
        for place, column in enumerate(columns(*chosen, px=px, **settings)):
            numbers[:, place] = column
    return Encoded(rows.numpy(), KINDS.index(kind), numbers, tables)


def _plain(change: Change, px: int) -> tuple[Callable[..., Tensor], tuple[Tensor, ...], dict[str, Any]]:
    """The function on pixels, what it is given besides the images, and its settings."""
    function: Any = change.function
    amounts, settings = change.parameters, dict[str, Any]()
    if isinstance(function, partial):
        function, settings = function.func, function.keywords
    if isinstance(function, Scaled):
        amounts, settings = function.amounts(amounts[0], px), function.settings | settings
        function = function.function
    return function, amounts, settings


Columns = Sequence[Tensor | float]


def _encoder(
    function: Callable[..., Tensor], settings: dict[str, Any]
) -> tuple[str, Callable[..., Iterator[Columns]] | None]:
    if function not in ENCODERS or settings.get("radius", CONV_RADIUS) != CONV_RADIUS:
        raise ForeignOperation(f"{function} is rendered change by change")
    return ENCODERS[function]


def _enhance(of_gray: float, of_mean: float) -> Callable[..., Columns]:
    return lambda factor, *, px: (factor, of_gray, of_mean)


def _amount(amount: Tensor, *, px: int, radius: int = 0) -> Columns:
    return (amount,)


def _nearest(steps: Callable[..., Tensor]) -> Callable[..., Columns]:
    return lambda amount, *, px, **settings: steps(amount, px=px, **settings).unbind(1)


def _slide(amount: Tensor, *, px: int, axis: int, bicubic: bool, by_line: bool) -> Columns:
    slope, offset = (amount, 0.0) if by_line else (0.0, amount * px)
    return slope, offset, float(axis), float(bicubic)


def _turn(degrees: Tensor, *, px: int, bicubic: bool) -> Columns:
    angle = torch.deg2rad(degrees)
    return angle.cos(), angle.sin(), float(bicubic)


ENCODERS: dict[Callable[..., Tensor], tuple[str, Callable[..., Any] | None]] = {
    mirror: ("flip", lambda *, px: ()),
    colour.grayscale: ("gray", lambda *, px: ()),
    colour.brightness: ("enhance", _enhance(0.0, 0.0)),
    colour.contrast: ("enhance", _enhance(0.0, 1.0)),
    colour.saturation: ("enhance", _enhance(1.0, 0.0)),
    colour.shift_hue: ("hue", lambda turn, *, px: ((turn * 255).trunc(),)),
    colour.add_brightness: ("table", None),
    colour.invert: ("table", None),
    colour.solarize: ("table", None),
    colour.solarize_add: ("table", None),
    colour.posterize: ("table", None),
    colour.equalize: ("table", lambda *, px: (float(EQUALIZE),)),
    colour.autocontrast: ("table", lambda *, px: (float(STRETCH),)),
    blur.sharpness: ("sharpen", _amount),
    blur.pil_blur: ("boxes", _amount),
    blur.conv_blur: ("taps", _amount),
    geometry_nearest.shear: ("nearest", _nearest(geometry_nearest.shear_steps)),
    geometry_nearest.translate: ("nearest", _nearest(geometry_nearest.translate_steps)),
    geometry_nearest.rotate: ("nearest", _nearest(geometry_nearest.rotate_steps)),
    geometry.shear: ("slide", partial(_slide, by_line=True)),
    geometry.translate: ("slide", partial(_slide, by_line=False)),
    geometry.rotate: ("turn", _turn),
}
