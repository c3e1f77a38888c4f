"""Random numbers that belong to an image, not to whoever happens to draw them.

Every number comes from (seed, epoch, sample, view) through the counter-based generator Philox: any worker, in any order
and in any number of processes, draws the same ones, and a stopped run finds its place without drawing what came before.
"""

import threading

import numpy as np
from numpy.typing import NDArray

_VIEWS, _ORDER, _CLUSTERS = 1, 2, 3  # separate streams: a view's numbers do not depend on the order of the images


def uniforms(seed: int, epoch: int, sample: int, view: int, count: int) -> NDArray[np.float64]:
    """`count` numbers in [0, 1) for one view (by its position in the recipe) of one image in one epoch."""
    return _stream(seed, _VIEWS, (0, view, sample, epoch), count)


def epoch_order(seed: int, epoch: int, samples: int) -> NDArray[np.int64]:
    """The order, a permutation of `samples` images, in which an epoch goes through the data."""
    return np.argsort(_stream(seed, _ORDER, (0, 0, 0, epoch), samples), kind="stable")


def first_centroids(seed: int, epoch: int, attempt: int, samples: int, clusters: int) -> NDArray[np.int64]:
    """The images, different ones, at which a clustering of an epoch begins."""
    return np.argsort(_stream(seed, _CLUSTERS, (0, clusters, attempt, epoch), samples), kind="stable")[:clusters]


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """A 63-bit seed from (seed, step, rank), mixed so that neighbouring steps draw unrelated numbers (splitmix64)."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + rank * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        mixed = ((mixed ^ (mixed >> shift)) * factor) & 0xFFFFFFFFFFFFFFFF
    return mixed >> 1


class _OfThread(threading.local):
    """A generator that is set anew for every draw, which takes a quarter of the time that a new one does."""

    def __init__(self) -> None:
        self.bits = np.random.Philox(0)
        self.unused = self.bits.state


_own = _OfThread()


def _stream(seed: int, purpose: int, start: tuple[int, int, int, int], count: int) -> NDArray[np.float64]:
    # The raw words are part of NumPy's stability promise; its Generator methods are not. 53 bits make a double.
    bits = _own.bits
    bits.state = {
        **_own.unused,
        "state": {
            "counter": np.array(start, np.uint64),
            "key": np.array((seed % 2**64, purpose), np.uint64),
        },
    }
    words = bits.random_raw(count)
    return np.ldexp((words >> np.uint64(11)).astype(np.float64), -53)
