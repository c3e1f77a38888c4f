"""95 % intervals of a measurement over its test images, episodes or queries."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


def wilson(right: int, images: int) -> tuple[float, float]:
    """The interval of a proportion, both ends in 0-1.

    Source: Wilson 1927; unlike the normal approximation it stays inside 0-1 and is honest for few images.
    """
    interval = stats.binomtest(right, images).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def normal(values: ArrayLike) -> tuple[float, float]:
    """The interval of a mean by the normal approximation; of a single value it is that value."""
    sample = np.asarray(values, dtype=np.float64)
    mean = float(sample.mean())
    if len(sample) < 2:
        return mean, mean
    half = float(stats.norm.ppf(0.975) * sample.std(ddof=1)) / math.sqrt(len(sample))
    return mean - half, mean + half
