"""CMC and CMC v2 as PyContrast has them: what luma and chroma of an image say must agree, against all other images.

Published: CMC 58.6 % ImageNet top-1 (linear probe on both features, two ResNet-50 of half width, 200 epochs), by the
authors of PyContrast; of CMC v2 we know no published result.
Measured here: not yet.
Cost: hours unknown; 200 epochs of 1.28 million images, each encoded once an epoch by both half-width networks, with
CMC v2 twice.

    goodviews pretrain cmc_200 --data IMAGENET --out runs/cmc_200

Papers: Tian, Krishnan & Isola, "Contrastive Multiview Coding", arXiv:1906.05849; "CMC v2" is PyContrast's own, CMC with
momentum contrast and InfoMin's views. An image in YDbDr is split into its luma and its two chroma channels; each has a
backbone of half width and a head. Where the papers, their code and PyContrast differ, we take PyContrast's:
- YDbDr, not Lab; crops with a change of colours, not without; a softmax over 65536 drawn rows, not noise estimation.
- One view an image: CMC compares its luma with the chroma row of the memory bank and the other way round, the same rows
  drawn for both, and sums the losses; CMC v2 does so with keys of a second view and a queue for each.
- CMC v2 draws RandAugment from a list of eight operations that hardly change colours, and does not turn images gray.
- Schedule: its cosine, which its run document asks for; a batch above 256 warms up.
- Batch norm: over the whole process, 256 images on one GPU, where the published runs had 32 on each of eight.
- A network on YDbDr is one on RGB with a matrix in its first convolution (see ydbdr). So both branches are published
  as encoders that take RGB, in `encoder` (luma) and `encoder_chroma`; the authors' feature is both side by side, the
  online kNN sees luma only.
- Memory bank and negatives as in InstDis (see instdis_pirl), keys as in MoCo.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from ...hub import ydbdr
from ..models.ema import KeyNetwork
from ..models.losses import bank_logits, info_nce, key_rank_accuracy
from ..models.memory import Known
from ..models.memory_bank import Bank, BankRows
from ..models.optimizers import Sgd
from ..models.queue import Queue, QueueRows
from ..models.schedules import PyContrastCosine
from ..objective import Networks, Orders, Step
from ..recipe import Recipe
from ..views.operations import ColorJitter, Flip, GaussianBlur, Normalize
from ..views.rand_augment import EIGHT, RandAugment
from ..views.view import RandomResizedCrop, View
from .instdis_pirl import own_row_first


@dataclass(frozen=True)
class CrossBank:
    """Luma finds the image's chroma row, and chroma its luma row; loss = the sum of both."""

    view_names: ClassVar[tuple[str, ...]] = ("image",)
    patches: ClassVar[int] = 0
    needs: ClassVar[tuple[type, ...]] = (Bank,)
    parts: ClassVar[int] = 2
    branches: ClassVar[int] = 2

    temperature: float = 0.07

    def __call__(self, networks: Networks, known: Known, views: Mapping[str, Tensor], orders: Orders) -> Step:
        (both,), _ = networks.query([views["image"]])
        bank = known[BankRows]
        luma_bank, chroma_bank = bank.banks
        pairs = zip(both.chunk(2, dim=1), (chroma_bank, luma_bank), strict=True)
        luma, chroma = (bank_logits(rows, other, bank.places, temperature=self.temperature) for rows, other in pairs)
        own = bank.places.new_zeros(len(both))
        terms = {"luma": F.cross_entropy(luma, own), "chroma": F.cross_entropy(chroma, own)}
        metrics = {"own_first": (own_row_first(luma) + own_row_first(chroma)) / 2}
        return Step(terms["luma"] + terms["chroma"], terms, networks.everyone(both.detach()), metrics)


@dataclass(frozen=True)
class CrossQueue:
    """A query's luma finds its key's chroma in the queue of chromas, and the other way round; loss = the sum."""

    view_names: ClassVar[tuple[str, ...]] = ("query", "key")
    patches: ClassVar[int] = 0
    needs: ClassVar[tuple[type, ...]] = (KeyNetwork, Queue)
    parts: ClassVar[int] = 2
    branches: ClassVar[int] = 2

    temperature: float = 0.2

    def __call__(self, networks: Networks, known: Known, views: Mapping[str, Tensor], orders: Orders) -> Step:
        keys = networks.keys(views["key"], orders.keys)
        (both,), _ = networks.query([views["query"]])
        (luma, chroma), (key_luma, key_chroma), (queue_luma, queue_chroma) = (
            rows.chunk(2, dim=1) for rows in (both, keys.own, known[QueueRows].rows)
        )
        terms = {
            "luma": info_nce(luma, key_chroma, queue_chroma, temperature=self.temperature),
            "chroma": info_nce(chroma, key_luma, queue_luma, temperature=self.temperature),
        }
        metrics = {"key_first": key_rank_accuracy(luma, key_chroma, queue_chroma)}
        return Step(terms["luma"] + terms["chroma"], terms, keys.everyone, metrics)


def cmc_200() -> Recipe:
    """PyContrast's 200-epoch setting of CMC."""
    return Recipe(
        architecture="resnet50",
        views=cmc_views(px=224),
        objective=CrossBank(temperature=0.07),
        optimizer=Sgd(lr=0.03, momentum=0.9, weight_decay=1e-4),
        schedule=PyContrastCosine(),
        batch_size=256,
        epochs=200,
        head="linear",
        memory=Bank(negatives=65536, momentum=0.5, banks=2),
        branches=2,
        width=0.5,
    )


def cmc_smoke() -> Recipe:
    """Seconds on a CPU: shows that the parts fit; too short to learn anything."""
    small = replace(cmc_200(), architecture="resnet18", views=cmc_views(px=32))
    return replace(small, batch_size=4, epochs=1, memory=Bank(negatives=5, momentum=0.5, banks=2))


def cmc_v2_200() -> Recipe:
    """PyContrast's 200-epoch setting of CMC v2."""
    return replace(
        cmc_200(),
        views=cmc_v2_views(px=224),
        objective=CrossQueue(temperature=0.2),
        head="mlp",
        slow=KeyNetwork(momentum=0.999, group=32),
        memory=Queue(65536, parts=2),
    )


def cmc_v2_smoke() -> Recipe:
    """Seconds on a CPU: shows that the parts fit; too short to learn anything."""
    small = replace(cmc_v2_200(), architecture="resnet18", views=cmc_v2_views(px=32))
    slow, memory = KeyNetwork(momentum=0.999, group=2), Queue(10, parts=2)
    return replace(small, batch_size=4, epochs=1, slow=slow, memory=memory)


def cmc_views(*, px: int) -> tuple[View, ...]:
    """PyContrast's augmentation C with the crops it takes for memory banks."""
    program = (Flip(p=0.5), ColorJitter(0.4, 0.4, 0.4, 0.1), _normalize())
    return (View("image", RandomResizedCrop(px, scale=(0.08, 1.0)), program),)


def cmc_v2_views(*, px: int) -> tuple[View, ...]:
    """Query and key, two draws of PyContrast's augmentation E; the blur is in proportion to the side."""
    program = (
        Flip(p=0.5),
        ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8),
        GaussianBlur(sigma=(0.1, 2.0 * px / 224), p=0.5, kind="conv23"),
        RandAugment(n=2, magnitude=10, mstd=0.5, p=0.5, operations=EIGHT),
        _normalize(),
    )
    crop = RandomResizedCrop(px, scale=(0.2, 1.0))
    return View("query", crop, program), View("key", crop, program)


def _normalize() -> Normalize:
    """To what a two-branch network changes into normalised YDbDr."""
    return Normalize(mean=ydbdr.MEAN, std=(1.0, 1.0, 1.0))
