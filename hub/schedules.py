"""The shapes of learning-rate schedules. A schedule decides where in a training it is; these give the value there."""

import math
from collections.abc import Sequence


def steps(value: float, done: float, after: Sequence[float], factor: float) -> float:
    """`value` times `factor` for each entry of `after` that `done` has reached."""
    return value * factor ** sum(done >= one for one in after)


def linear(start: float, end: float, done: float) -> float:
    """From `start` to `end` while `done` goes from 0 to 1."""
    return start + done * (end - start)


def cosine(start: float, end: float, done: float, whole: float = 1.0) -> float:
    """Half a cosine from `start` to `end` while `done` goes from 0 to `whole`; beyond that it climbs again.

    Source: Loshchilov & Hutter 2017 (arXiv:1608.03983), eq. 5.
    """
    return end + (start - end) * (1 + math.cos(math.pi * done / whole)) / 2
