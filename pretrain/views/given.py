"""The numbers of a plan as its kernels take them, one array after another; they lie on the device and stay there."""

from collections.abc import Iterator

import torch
from torch import Tensor

from .plan import Plan


class Given:
    """Hands out the arrays of a plan in their order.

    Args:
        floats, ints: float64 and int64, on the device of the pixels.
    """

    def __init__(self, plan: Plan, floats: Tensor, ints: Tensor):
        self._exact, self._ints = _parts(floats, plan.floats), _parts(ints, plan.ints)
        self._rounded = _parts(floats.to(torch.float32), plan.floats)

    def whole(self, *shape: int) -> Tensor:
        """The next integers, int64."""
        return _shaped(next(self._ints), shape)

    def single(self, *shape: int) -> Tensor:
        """The next floats, float32."""
        next(self._exact)
        return _shaped(next(self._rounded), shape)

    def double(self, *shape: int) -> Tensor:
        """The next floats, float64."""
        next(self._rounded)
        return _shaped(next(self._exact), shape)


def _parts(values: Tensor, lengths: tuple[int, ...]) -> Iterator[Tensor]:
    return iter(values.split_with_sizes(lengths))


def _shaped(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    return values.view(shape) if shape else values
