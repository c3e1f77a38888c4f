"""What a method keeps beside its network: a slow copy of it, a memory of keys or of images, prototypes or clusters.

A recipe names these parts by value and leaves out what its method does not keep. At work they are `MomentumPair` and
`KeyQueue` (momentum), `MemoryBank` (memory_bank), `PrototypeNetwork` (networks) and
`ImageClusters` (clusters); only the training loop changes them.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class KeyNetwork:
    """A slow copy that makes the keys of momentum contrast, by shuffled batch norm.

    momentum: share of its old weights that stays at a step.
    group: images whose keys share batch-norm statistics (see MomentumPair).
    """

    momentum: float = 0.999
    group: int = 32

    def momentum_at(self, done: float) -> float:
        """The same all through the run."""
        return self.momentum


@dataclass(frozen=True)
class Target:
    """A slow copy that is the target of a prediction; ever slower, on a half cosine from `momentum` to 1.

    Source: Grill et al. 2020 (arXiv:2006.07733), section 3.1: 1 - (1 - momentum) (cos(pi k / K) + 1) / 2.
    """

    momentum: float = 0.996

    def momentum_at(self, done: float) -> float:
        """The share of old weights that stays at a step before which `done`, 0-1, of the run is over."""
        return 1 - (1 - self.momentum) * (math.cos(math.pi * done) + 1) / 2


@dataclass(frozen=True)
class Queue:
    """The last `size` keys; keep it well below the number of images, or an image meets its own old keys.

    parts: keys side by side in a row, of methods that make several of an image.
    from_epoch: the objective is given it from this epoch (counted from 0) on; it is filled from the start.
    """

    size: int = 65536
    parts: int = 1
    from_epoch: int = 0


@dataclass(frozen=True)
class Bank:
    """A row for every image of the data.

    negatives: rows drawn anew for each image and step, from all of them, with replacement.
    momentum: share of an image's old row that stays when it is seen.
    banks: how many, of methods that make several embeddings of an image.
    """

    negatives: int = 65536
    momentum: float = 0.5
    banks: int = 1


@dataclass(frozen=True)
class Prototypes:
    """Unit vectors, learned by gradient and put back to length one after each step, to which images are assigned.

    frozen_epochs: they stay as they are so long.
    """

    count: int = 3000
    frozen_epochs: int = 1


@dataclass(frozen=True)
class Clusters:
    """The images in clusters, whose means are prototypes; made anew at the beginning of every epoch.

    counts: how many clusters, a number for each granularity.
    from_epoch: the first epoch (counted from 0) that has them.
    rounds, tries: of each k-means; the best of the tries is taken.
    negatives: other clusters' prototypes, drawn anew at a step, that its queries are compared with.
    """

    counts: tuple[int, ...] = (25000, 50000, 100000)
    from_epoch: int = 20
    rounds: int = 20
    tries: int = 5
    negatives: int = 16384
