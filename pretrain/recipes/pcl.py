"""PCL v1 and v2: momentum contrast, and a query must find the prototype of the cluster that its image lies in.

Published: v1 61.5 % ImageNet top-1, v2 67.6 % (linear probe, ResNet-50, 200 epochs), by its authors.
Measured here: not yet.
Cost: hours unknown; 200 epochs of 1.28 million images, each encoded twice an epoch and once more for k-means.

    goodviews pretrain pcl_v2_200 --data IMAGENET --out runs/pcl_v2_200

Paper: Li, Zhou, Xiong & Hoi, "Prototypical Contrastive Learning of Unsupervised Representations", ICLR 2021. v2 has
MoCo v2's head, views and cosine. Where paper and code (salesforce/PCL) differ or leave it open, we take:
- Temperature 0.2 for both (the code's commands); the paper's first version has 0.1, from memory, not verified.
- Clusters are made at the beginning of every epoch from epoch 20, counted from 0, of the key network's embeddings of
  centre crops (code). The crop is cut at the photo's own size and resized then, the code resizes first.
- k-means by torch: faiss for GPUs, which the code uses, is on no registry. As there 20 rounds, the best of 5 tries and
  first centroids drawn among the images. A centroid without images moves to the image farthest from its own; faiss
  divides a large cluster. We stop when no image changes its cluster, and leave out faiss's limit of 1000 images a
  centroid, which 25,000 clusters of ImageNet do not reach.
- Concentration: mean distance / log(n + 10), as the code has it (see kmeans.concentration), scaled to a mean of the
  temperature.
- Images of a batch that lie in one cluster are each other's negatives though their prototypes are the same, as
  published: m of them add up to log(m) to the loss, and the gradient still points towards the prototype.
- The batch's prototypes are those of all processes' images, and others are drawn for the batch, so the loss does not
  depend on the number of processes; in the code each process has its own. Where there are fewer than 16384 others, all
  of them are taken; the code fails.
- Batch norm of queries and keys is that of MoCo here (see moco). The embeddings for k-means are made with the key
  network's running statistics (code), of several processes the first one's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from ..models.clusters import ClusterPrototypes, Clusters
from ..models.ema import KeyNetwork
from ..models.losses import info_nce_and_accuracy, proto_nce
from ..models.memory import Known
from ..models.optimizers import Sgd
from ..models.queue import Queue, QueueRows
from ..models.schedules import MocoCosine, Steps
from ..objective import Networks, Orders, Step
from ..recipe import Recipe
from ..views.view import View
from .moco import moco_v1_views, moco_v2_views


@dataclass(frozen=True)
class PrototypeContrast:
    """InfoNCE of queries against keys and queue, plus the mean over granularities of ProtoNCE.

    `losses` reports 0 for the prototypes as long as there are no clusters.
    """

    view_names: ClassVar[tuple[str, ...]] = ("query", "key")
    patches: ClassVar[int] = 0
    needs: ClassVar[tuple[type, ...]] = (KeyNetwork, Queue, Clusters)

    temperature: float = 0.2

    def __call__(self, networks: Networks, known: Known, views: Mapping[str, Tensor], orders: Orders) -> Step:
        queue, clusters = known[QueueRows].rows, known.get(ClusterPrototypes)
        keys = networks.keys(views["key"], orders.keys)
        (query,), _ = networks.query([views["query"]])
        contrast, first = info_nce_and_accuracy(query, keys.own, queue, temperature=self.temperature)
        terms = [
            proto_nce(query, each.prototypes, self.temperature * each.concentrations, each.counts, first=keys.first)
            for each in (clusters.granularities if clusters is not None else ())
        ]
        prototypes = torch.stack(terms).mean() if terms else contrast.new_zeros(())
        return Step(
            loss=contrast + prototypes,
            losses={"contrast": contrast, "prototypes": prototypes},
            keys=keys.everyone,
            metrics={"key_first": first},
        )


def pcl_v1_200() -> Recipe:
    """The published 200-epoch setting of PCL v1."""
    return Recipe(
        architecture="resnet50",
        views=moco_v1_views(px=224),
        objective=PrototypeContrast(temperature=0.2),
        optimizer=Sgd(lr=0.03, momentum=0.9, weight_decay=1e-4),
        schedule=Steps(milestones=(120, 160)),
        batch_size=256,
        epochs=200,
        head="linear",
        slow=KeyNetwork(momentum=0.999, group=32),
        memory=Queue(16384),
        prototypes=Clusters(counts=(25000, 50000, 100000), from_epoch=20, rounds=20, tries=5, negatives=16384),
    )


def pcl_v2_200() -> Recipe:
    """The published 200-epoch setting of PCL v2."""
    return replace(pcl_v1_200(), views=moco_v2_views(px=224), schedule=MocoCosine(), head="mlp")


def pcl_v1_smoke() -> Recipe:
    """Seconds on a CPU: shows that the parts fit; too short to learn anything."""
    return _small(pcl_v1_200(), moco_v1_views(px=32))


def pcl_v2_smoke() -> Recipe:
    """Seconds on a CPU: shows that the parts fit; too short to learn anything."""
    return _small(pcl_v2_200(), moco_v2_views(px=32))


def _small(recipe: Recipe, views: tuple[View, ...]) -> Recipe:
    """An epoch without clusters, then one with them."""
    return replace(
        recipe,
        architecture="resnet18",
        views=views,
        batch_size=4,
        epochs=2,
        slow=KeyNetwork(momentum=0.999, group=2),
        memory=Queue(10),
        prototypes=Clusters(counts=(3, 5), from_epoch=1, tries=2, negatives=4),
    )
