"""In which order kinds of operations run over many images, each of which needs some of them in an order of its own.

A kind runs over all images that come to it at once; the fewer runs, the less a GPU's time goes to starting them.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def runs(kinds: NDArray[np.int64], images: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Kinds one after another, each with the operations, by their positions, that it carries out then.

    Args:
        kinds: of every operation, from 0; the cheaper one run of a kind, the lower its number.
        images: whose operation it is, ascending; those of one image follow each other in its order.

    A kind runs as soon as that shortens the longest wait for it: when all images that need it most often stand before
    it. Where there is no such kind, the one goes first that some image needs most often; of several the cheapest.
    """
    if len(kinds) == 0:
        return
    numbers = np.unique(images, return_inverse=True)[1]
    left = np.zeros((numbers[-1] + 1, int(kinds.max()) + 1), dtype=np.int64)  # operations of each kind
    np.add.at(left, (numbers, kinds), 1)
    ends = np.bincount(numbers).cumsum()
    here = np.concatenate([[0], ends[:-1]])  # which operation each image stands before
    while True:
        waits = here < ends
        if not waits.any():
            return
        front = np.where(waits, kinds[np.minimum(here, len(kinds) - 1)], -1)
        kind = _next_kind(front, left)
        chosen = np.flatnonzero(front == kind)
        yield kind, here[chosen]
        left[chosen, kind] -= 1
        here[chosen] += 1


def _next_kind(front: NDArray[np.int64], left: NDArray[np.int64]) -> int:
    most = left.max(axis=0)
    needs_most = (left == most) & (most > 0)
    stands = front[:, None] == np.arange(left.shape[1])
    shortens = (needs_most & ~stands).sum(axis=0) == 0
    ready = np.flatnonzero(shortens & (most > 0))
    if len(ready):
        waits_elsewhere = ((left[:, ready] > 0) & ~stands[:, ready]).sum(axis=0)
        return int(ready[np.argmin(waits_elsewhere)])  # best where no image will need it again
    here = np.unique(front[front >= 0])
    return int(here[np.argmax(most[here])])
