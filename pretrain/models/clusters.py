"""What PCL remembers: which images lie together, at several granularities, and the prototype of each cluster."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..randomness import first_centroids, step_seed
from .kmeans import Nearest, concentration, kmeans
from .memory import Context, Memory, Part, State


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

    def build(self, context: Context) -> "ImageClusters":
        return ImageClusters(self, context.device)


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
class StepPrototypes:
    """The prototypes of one granularity that a step's queries are compared with.

    prototypes: (B + R, D): of all images of the batch, in their order, also where two lie in one cluster; then others.
    concentrations: (B + R,), of these.
    counts: (B + R,), bool: False for what is there to fill up, where there are fewer than R others.
    """

    prototypes: Tensor
    concentrations: Tensor
    counts: Tensor


@dataclass(frozen=True)
class ClusterPrototypes:
    """What clusters tell an objective: the prototypes of each granularity."""

    granularities: tuple[StepPrototypes, ...]


class ImageClusters(Memory):
    """The clusters of an epoch; none before the first clustering, when `epoch` is -1. Equal in all processes."""

    def __init__(self, plan: Clusters, device: torch.device | str = "cpu") -> None:
        self.plan, self.device, self.epoch = plan, device, -1
        self.granularities: tuple[Granularity, ...] = ()

    def renew(self, rows: Tensor, *, seed: int, epoch: int, nearest: Nearest, observe: Callable[[int], None]) -> None:
        """Sort all images anew by their embeddings (n, D), unit rows; what is drawn comes from (seed, epoch).

        Args:
            nearest: as in kmeans.
            observe: called after each clustering with its number of clusters.
        """
        granularities = []
        for count in self.plan.counts:
            starts = (first_centroids(seed, epoch, attempt, len(rows), count) for attempt in range(self.plan.tries))
            found = kmeans(rows, map(torch.from_numpy, starts), rounds=self.plan.rounds, nearest=nearest)
            granularities.append(Granularity(F.normalize(found.centroids, dim=1), concentration(found), found.of))
            observe(count)
        self.granularities, self.epoch = tuple(granularities), epoch

    def known(self, part: Part) -> ClusterPrototypes | None:
        """The prototypes of the images of all processes, and others without replacement, from (seed, number)."""
        if not self.granularities:
            return None
        device = self.granularities[0].of.device
        generator = torch.Generator(device).manual_seed(step_seed(part.seed, part.number))
        samples = part.samples_of_all().to(device, non_blocking=True)
        return ClusterPrototypes(
            tuple(_draw(each, samples, self.plan.negatives, generator) for each in self.granularities)
        )

    def state(self) -> State:
        """Later in the epoch, from other weights, they could not be made again."""
        return {"epoch": self.epoch, "granularities": [vars(each) for each in self.granularities]}

    def restore(self, state: State) -> None:
        self.epoch = state["epoch"]
        parts = ({name: value.to(self.device) for name, value in each.items()} for each in state["granularities"])
        self.granularities = tuple(Granularity(**each) for each in parts)


def _draw(each: Granularity, samples: Tensor, negatives: int, generator: torch.Generator) -> StepPrototypes:
    """The batch's own clusters are put last in the order in which others are drawn, and do not count there."""
    own, total = each.of[samples], len(each.prototypes)
    order = torch.rand(total, generator=generator, device=own.device)
    order[own] = 2.0
    others = order.argsort(stable=True)[:negatives]
    rows = torch.cat([own, others])
    counts = torch.cat([torch.ones_like(own, dtype=torch.bool), order[others] < 2])
    return StepPrototypes(each.prototypes[rows], each.concentrations[rows], counts)
