"""What PCL remembers: which images lie together, at several granularities, and the prototype of each cluster."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..objective import step_seed
from ..randomness import first_centroids
from .kmeans import Nearest, concentration, kmeans
from .memories import Clusters


@dataclass(frozen=True)
class Granularity:
    """All images in k clusters.

    prototypes: (k, D), unit rows: the clusters' means.
    concentrations: (k,), mean 1: the looser a cluster, the higher.
    of: (n,), int64, the cluster of each image.
    """

    prototypes: Tensor
    concentrations: Tensor
    of: Tensor


@dataclass(frozen=True)
class Compared:
    """The prototypes of one granularity that a step's queries are compared with.

    prototypes: (B + R, D): of all images of the batch, in their order, also where two lie in one cluster; then others.
    concentrations: (B + R,), of these.
    counts: (B + R,), bool: False for what is there to fill up, where there are fewer than R others.
    """

    prototypes: Tensor
    concentrations: Tensor
    counts: Tensor


@dataclass(frozen=True)
class QueueAndPrototypes:
    """What PCL's objective is given: the queue's rows, and each granularity's prototypes once there are clusters."""

    queue: Tensor
    granularities: tuple[Compared, ...]


class ImageClusters:
    """The clusters of an epoch; none before the first clustering, when `epoch` is -1. Equal in all processes."""

    def __init__(self) -> None:
        self.epoch = -1
        self.granularities: tuple[Granularity, ...] = ()

    def renew(
        self, rows: Tensor, plan: Clusters, *, seed: int, epoch: int, nearest: Nearest, said: Callable[[int], None]
    ) -> None:
        """Sort all images anew by their embeddings (n, D), unit rows; what is drawn comes from (seed, epoch)."""
        made = []
        for count in plan.counts:
            starts = (first_centroids(seed, epoch, attempt, len(rows), count) for attempt in range(plan.tries))
            found = kmeans(rows, map(torch.from_numpy, starts), rounds=plan.rounds, nearest=nearest)
            made.append(Granularity(F.normalize(found.centroids, dim=1), concentration(found), found.of))
            said(count)
        self.granularities, self.epoch = tuple(made), epoch

    def draw(self, samples: Tensor, negatives: int, *, seed: int, step: int) -> tuple[Compared, ...]:
        """For the (B,) images of all processes: their prototypes, and others without replacement, from (seed, step)."""
        if not self.granularities:
            return ()
        device = self.granularities[0].of.device
        generator = torch.Generator(device).manual_seed(step_seed(seed, step))
        return tuple(_drawn(each, samples.to(device), negatives, generator) for each in self.granularities)

    def state(self) -> dict[str, Any]:
        """For the checkpoint: later in the epoch, from other weights, they could not be made again."""
        return {"epoch": self.epoch, "granularities": [vars(each) for each in self.granularities]}

    def restore(self, state: dict[str, Any]) -> None:
        """As it was when `state` was taken."""
        self.epoch = state["epoch"]
        self.granularities = tuple(Granularity(**each) for each in state["granularities"])


def _drawn(each: Granularity, samples: Tensor, negatives: int, generator: torch.Generator) -> Compared:
    """The batch's own clusters are put last in the order in which others are drawn, and do not count there."""
    own, total = each.of[samples], len(each.prototypes)
    order = torch.rand(total, generator=generator, device=own.device)
    order[own] = 2.0
    others = order.argsort(stable=True)[:negatives]
    rows = torch.cat([own, others])
    counts = torch.cat([torch.ones_like(own, dtype=torch.bool), order[others] < 2])
    return Compared(each.prototypes[rows], each.concentrations[rows], counts)
