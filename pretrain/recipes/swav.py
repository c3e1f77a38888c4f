"""SwAV: a crop must predict the prototypes to which another crop of its image is assigned.

Published: 72.1 % ImageNet top-1 at 100 epochs, 73.9 % at 200, 74.6 % at 400, 75.3 % at 800; with a batch of 256, 72.7 %
at 200 and 74.3 % at 400; with two crops only, 70.1 % at 400 (linear probe, ResNet-50), by its authors.
Measured here: not yet.
Cost: hours unknown, on 64 GPUs for batches of 4096, 4 GPUs for 256; 1.28 million images an epoch, each encoded as two
large and six small crops.

    goodviews pretrain swav_800 --data IMAGENET --out runs/swav_800

Paper: Caron, Misra, Mairal, Goyal, Bojanowski & Joulin, "Unsupervised Learning of Visual Features by Contrasting
Cluster Assignments", arXiv:2006.09882. The two large crops are assigned; all others, and each the other, predict. Where
paper and code (facebookresearch/swav) differ or leave it open, we take:
- Crops of one side go through the backbone together, all crops through the head together (code): so do their
  batch-norm statistics mix. They are of all processes; the published large runs share them in groups of 8 processes,
  512 images.
- Assignments are made for the images of all processes at once, on each of them alike (the code adds up sums instead).
- Prototypes are scaled to unit length after each step (code: before the next) and stay frozen in the first epoch; the
  code counts 313 steps at a batch of 4096, 5005 at 256.
- The queue of 15 batches for small batches is given to the assignment from epoch 15 on, and filled from the start; the
  code begins to fill it at epoch 15. Both large crops of an image lie in one of its rows.
- Optimizer: SGD behind LARC without clipping; every parameter decays and has a rate of its own (code).
- Rate: for 4096 from 0.3 to 4.8 over ten epochs, then a cosine to 0.0048; for 256 a cosine from 0.6 to 0.0006.
- Scores and losses are float32 also in mixed precision.
- Normalised with a standard deviation of 0.228 for red, one digit off the usual (code); the encoder records it.
- The published wider networks are left out: their stem is wider too, which timm cannot build.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.full_precision import widen
from ..models.losses import sinkhorn
from ..models.memory import Known
from ..models.optimizers import AdamW, Larc, Sgd
from ..models.prototypes import Prototypes
from ..models.queue import Queue, QueueRows
from ..models.schedules import MocoCosine, WarmupCosine
from ..objective import Networks, Orders, Step
from ..recipe import Recipe
from ..views.operations import ColorJitter, Flip, GaussianBlur, Grayscale, Normalize
from ..views.view import RandomResizedCrop, View

LARGE = ("large_1", "large_2")
SMALL = tuple(f"small_{number}" for number in range(1, 7))


@dataclass(frozen=True)
class Swav:
    """Cross-entropy of every crop's prototype distribution to the assignment of each large crop but itself.

    loss = mean over large crops of the mean over all other crops; a network that sees no difference scores log(P).

    large, small: names of views; those of a kind have one side.
    epsilon, iterations: of the assignment (see sinkhorn).
    """

    patches: ClassVar[int] = 0
    needs: ClassVar[tuple[type, ...]] = (Prototypes,)

    large: tuple[str, ...] = LARGE
    small: tuple[str, ...] = SMALL
    temperature: float = 0.1
    epsilon: float = 0.05
    iterations: int = 3

    @property
    def view_names(self) -> tuple[str, ...]:
        return self.large + self.small

    @property
    def parts(self) -> int:
        return len(self.large)

    def __call__(self, networks: Networks, known: Known, views: Mapping[str, Tensor], orders: Orders) -> Step:
        kinds = [[views[name] for name in names] for names in (self.large, self.small) if names]
        embeddings, prototypes = networks.query([torch.cat(crops) for crops in kinds])
        crops = widen(embeddings).chunk(len(self.view_names))
        scores = [crop @ widen(prototypes).T for crop in crops]
        images = len(crops[0])
        keys = networks.everyone(torch.cat([crop.detach() for crop in crops[: len(self.large)]], dim=1))
        mine = slice(networks.rank * images, (networks.rank + 1) * images)
        codes = [code[mine] for code in self._codes(keys, known.get(QueueRows), widen(prototypes.detach()))]
        logits = [score / self.temperature for score in scores]
        pairs = [(i, j) for i in range(len(codes)) for j in range(len(logits)) if i != j]
        terms = [F.cross_entropy(logits[j], codes[i]) for i, j in pairs]
        assignment = torch.stack(terms).mean()  # each large crop has as many others
        chosen = torch.cat(codes).argmax(dim=1)
        used = assignment.new_zeros(len(prototypes)).scatter_(0, chosen, 1.0).sum() / min(len(prototypes), len(chosen))
        return Step(assignment, {"assignment": assignment}, keys, {"prototypes_used": used.detach()})

    def _codes(self, keys: Tensor, queue: QueueRows | None, prototypes: Tensor) -> list[Tensor]:
        """(B, P) of every large crop, from its part of (B, 2 D); the queue (K, 2 D) is shared out along with it."""
        rows = keys if queue is None else torch.cat([queue.rows.to(keys.dtype), keys])
        parts = rows.chunk(len(self.large), dim=1)
        shared = (sinkhorn(part @ prototypes.T, epsilon=self.epsilon, iterations=self.iterations) for part in parts)
        return [codes[-len(keys) :] for codes in shared]


def swav_800() -> Recipe:
    """The published 800-epoch setting."""
    return Recipe(
        architecture="resnet50",
        views=swav_views(large_px=224, small_px=96),
        objective=Swav(large=LARGE, small=SMALL),
        optimizer=Larc(lr=4.8, momentum=0.9, weight_decay=1e-6, trust=0.001),
        schedule=WarmupCosine(warmup_epochs=10, warmup_from=0.3, end=1e-3),
        batch_size=4096,
        epochs=800,
        head="swav",
        dim=128,
        prototypes=Prototypes(count=3000, frozen_epochs=1),
        batch_norm="shared",
    )


def swav_400() -> Recipe:
    """The published 400-epoch setting."""
    return replace(swav_800(), epochs=400)


def swav_200() -> Recipe:
    """The published 200-epoch setting."""
    return replace(swav_800(), epochs=200)


def swav_100() -> Recipe:
    """The published 100-epoch setting."""
    return replace(swav_800(), epochs=100)


def swav_2x224_400() -> Recipe:
    """The published 400-epoch setting with two large crops and no small ones."""
    views = swav_views(large_px=224, small_px=96, large_scale=(0.08, 1.0))[:2]
    return replace(swav_400(), views=views, objective=Swav(large=LARGE, small=()))


def swav_b256_400() -> Recipe:
    """The published 400-epoch setting for small batches, with a queue of features."""
    return replace(
        swav_400(),
        optimizer=Larc(lr=0.6, momentum=0.9, weight_decay=1e-6, trust=0.001),
        schedule=WarmupCosine(warmup_epochs=0, end=1e-3),
        batch_size=256,
        memory=Queue(3840, parts=2, from_epoch=15),
    )


def swav_b256_200() -> Recipe:
    """The published 200-epoch setting for small batches, with a queue of features."""
    return replace(swav_b256_400(), epochs=200)


def swav_imagenette() -> Recipe:
    """ResNet-18 at 128 px on Imagenette for 800 epochs, as lightly's benchmark sets SwAV up.

    Published by lightly: 90.2 % kNN in 283 minutes on one A6000. Measured here: not yet. Theirs: two crops of 128 px
    and six of 64, 3000 prototypes, Adam at 0.001, a cosine from epoch 0 to zero, no queue. Ours: weight decay 1e-6
    apart from Adam's moments (theirs within), prototypes that are frozen in the first epoch, and crops of a side
    in one batch (theirs one after the other).

        goodviews pretrain swav_imagenette --data imagenette2-160 --out RUN --keep gpu

    Source: lightly-ai/lightly, docs/source/getting_started/benchmarks.rst and benchmarks/imagenette_benchmark.py.
    """
    return replace(
        swav_800(),
        architecture="resnet18",
        views=swav_views(large_px=128, small_px=64),
        optimizer=AdamW(lr=0.001, weight_decay=1e-6),
        schedule=MocoCosine(),
        batch_size=256,
    )


def swav_imagenette_cpu() -> Recipe:
    """For about 5,000 photos on a CPU: the backbone of infomin_imagenette_cpu, two small crops.

    Ours, not published: plain SGD, since LARC is made for large batches, and ten prototypes a class. At the published
    epsilon such short runs stay where all images look alike and the loss is log(P); at 0.03, and with zero-initialised
    residual branches, they leave it within a hundred steps.
    """
    views = swav_views(large_px=48, small_px=24, large_scale=(0.4, 1.0), small_scale=(0.15, 0.4))[:4]
    return replace(
        swav_800(),
        architecture="resnet18",
        views=views,
        objective=Swav(large=LARGE, small=SMALL[:2], epsilon=0.03),
        optimizer=Sgd(lr=0.03, momentum=0.9, weight_decay=5e-4),
        schedule=WarmupCosine(warmup_epochs=1),
        batch_size=64,
        epochs=28,
        prototypes=Prototypes(count=100, frozen_epochs=1),
        zero_init_last=True,
    )


def swav_smoke() -> Recipe:
    """Seconds on a CPU: shows that the parts fit; too short to learn anything."""
    return replace(
        swav_800(),
        architecture="resnet18",
        views=swav_views(large_px=32, small_px=16)[:3],
        objective=Swav(large=LARGE, small=SMALL[:1]),
        optimizer=Larc(lr=0.005, momentum=0.9, weight_decay=1e-6, trust=0.001),
        schedule=WarmupCosine(warmup_epochs=0),
        batch_size=4,
        epochs=1,
        prototypes=Prototypes(count=12, frozen_epochs=1),
        memory=Queue(10, parts=2, from_epoch=1),
    )


def swav_views(
    *,
    large_px: int,
    small_px: int,
    large_scale: tuple[float, float] = (0.14, 1.0),
    small_scale: tuple[float, float] = (0.05, 0.14),
) -> tuple[View, ...]:
    """Two large crops and six small ones, all changed alike."""
    program = (
        Flip(p=0.5),
        ColorJitter(0.8, 0.8, 0.8, 0.2, p=0.8),
        Grayscale(p=0.2),
        GaussianBlur(sigma=(0.1, 2.0), p=0.5, kind="pil"),
        Normalize(std=(0.228, 0.224, 0.225)),
    )
    large, small = RandomResizedCrop(large_px, large_scale), RandomResizedCrop(small_px, small_scale)
    return *(View(name, large, program) for name in LARGE), *(View(name, small, program) for name in SMALL)
