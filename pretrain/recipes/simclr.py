"""SimCLR: two views of an image must find each other among all other views in a large batch.

Published: about 64.5 % ImageNet top-1 at 100 epochs, 69.1 % at 1000 (linear probe, ResNet-50); twice as wide 74.2 %,
four times 76.6 %, by its authors.
Measured here: not yet.
Cost: hours unknown; 1000 epochs of 1.28 million images, each encoded twice an epoch, in batches of 4096.

    goodviews pretrain simclr_1000 --data IMAGENET --out runs/simclr_1000

Paper: Chen, Kornblith, Norouzi & Hinton, "A Simple Framework for Contrastive Learning of Visual Representations",
arXiv:2002.05709. Every batch norm takes its statistics over all processes. Where paper and code
(google-research/simclr) differ or leave it open, we take:
- Loss: the sum of both views' means (code), twice the paper's mean over all anchors. With LARS only the vectors that it
  leaves alone, and the weight decay, notice the factor.
- Negatives: of all processes; the gradient flows through the gathered views too (code).
- Both views go through the network as one batch (code).
- Everything is the first version's, as the numbers above are; the repository today is set for the second, with three
  layers in the head, ten times the weight decay and brightness that is multiplied
  (--set views.0.program.1.brightness_kind=times, and the same for views.1).
- Head: two layers, batch norm after both, the last without an offset, weights from N(0, 0.01).
- LARS: batch norms and biases without decay and without a rate of their own; the rate is inside the momentum (code).
- Rate: 0.3 times batch / 256, 4.8 at 4096. For small batches the paper also tries 0.075 times the root of the batch,
  the same at 4096.
- Jitter, gray and blur work on 8 bits; contrast is changed about the mean luma (Pillow), not each channel's own mean.
- Blur: each image has a width of its own; in the code all images of a step and device share one. Edges are mirrored,
  where the code darkens them.
- Crops from 8 % of the photo (paper); the code refuses those below 10 %. They are made smaller with antialiasing
  (Pillow's bicubic), which TensorFlow's lacks.
- Convolutions start with He's normal weights by fan-out (timm), not from a truncated normal by fan-in (code).
- Images lie in 0-1, not normalised (code); the encoder's preprocessing records that.
- The max-pool after the stem pads all sides (PyTorch), not right and bottom only (TensorFlow).
- "x2": the stages are twice as wide, the stem has 64 channels as in the plain network, not 128: timm cannot build
  that, and what it cannot build others cannot load. 93.9 M parameters. Not the published network to the letter.
- The authors train a linear classifier on the side; our online kNN takes its place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.full_precision import widen
from ..models.losses import in_batch_similarities
from ..models.memory import Known
from ..models.optimizers import Lars, Sgd
from ..models.schedules import MocoCosine, WarmupCosine
from ..objective import Networks, Orders, Step
from ..recipe import Recipe
from ..views.operations import ColorJitter, Flip, GaussianBlur, Grayscale, Normalize
from ..views.view import RandomResizedCrop, View


@dataclass(frozen=True)
class NtXent:
    """Normalised temperature-scaled cross-entropy of two views, each against all other views of the whole batch.

    loss = the sum of both views' means; `losses` reports their mean, to be compared with log(2 B - 1).
    """

    view_names: ClassVar[tuple[str, ...]] = ("first", "second")
    patches: ClassVar[int] = 0
    needs: ClassVar[tuple[type, ...]] = ()

    temperature: float = 0.1

    def __call__(self, networks: Networks, known: Known, views: Mapping[str, Tensor], orders: Orders) -> Step:
        (both,), _ = networks.query([torch.cat([views[name] for name in self.view_names])])
        there, back = both_ways(both, networks)
        own = networks.rank * len(there) + torch.arange(len(there), device=there.device)
        terms = [F.cross_entropy(similar / self.temperature, own) for similar in (there, back)]
        return Step(
            loss=terms[0] + terms[1],
            losses={"contrast": (terms[0] + terms[1]) / 2},
            metrics={"partner_first": (there.detach().argmax(dim=1) == own).float().mean()},
        )


def both_ways(both: Tensor, networks: Networks) -> tuple[Tensor, Tensor]:
    """From (2 N, D), the first views' embeddings and then the second's: each view's `in_batch_similarities`."""
    first, second = widen(both).chunk(2)
    all_first, all_second = networks.everyone(first), networks.everyone(second)
    begins = networks.rank * len(first)
    return (
        in_batch_similarities(first, all_second, all_first, first=begins),
        in_batch_similarities(second, all_first, all_second, first=begins),
    )


def simclr_1000() -> Recipe:
    """The published 1000-epoch setting."""
    return Recipe(
        architecture="resnet50",
        views=simclr_views(px=224),
        objective=NtXent(temperature=0.1),
        optimizer=Lars(lr=4.8, momentum=0.9, weight_decay=1e-6, trust=0.001, remembers="steps"),
        schedule=WarmupCosine(warmup_epochs=10),
        batch_size=4096,
        epochs=1000,
        head="simclr",
        dim=128,
        batch_norm="shared",
        zero_init_last=True,
    )


def simclr_100() -> Recipe:
    """The published 100-epoch setting."""
    return replace(simclr_1000(), epochs=100)


def simclr_x2_1000() -> Recipe:
    """The published 1000-epoch setting with stages of twice the channels; the stem stays as it is."""
    return replace(simclr_1000(), width=2.0)


def simclr_imagenette() -> Recipe:
    """ResNet-18 at 128 px on Imagenette for 800 epochs, as lightly's benchmark sets SimCLR up.

    Published by lightly: 88.9 % kNN in 194 minutes on one A6000. Measured here: not yet. Theirs: temperature 0.5, SGD
    at a rate of 0.06, weight decay 5e-4, a cosine from epoch 0 to zero. The loss here is twice theirs, so half the rate
    and twice the decay make the same steps. Ours: the views and head of SimCLR, the blur in proportion to the side, and
    both views in one batch (theirs one after the other); images lie in 0-1.

        goodviews pretrain simclr_imagenette --data imagenette2-160 --out RUN --keep gpu

    Source: lightly-ai/lightly, docs/source/getting_started/benchmarks.rst and benchmarks/imagenette_benchmark.py.
    """
    return replace(
        simclr_1000(),
        architecture="resnet18",
        views=simclr_views(px=128),
        objective=NtXent(temperature=0.5),
        optimizer=Sgd(lr=0.03, momentum=0.9, weight_decay=1e-3),
        schedule=MocoCosine(),
        batch_size=256,
        epochs=800,
        zero_init_last=False,
    )


def simclr_imagenette_cpu() -> Recipe:
    """For about 5,000 photos on a CPU: the backbone and crops of infomin_imagenette_cpu.

    Ours, not published. Small batches have few negatives: a higher temperature, and plain SGD, for LARS is made for
    large ones.
    """
    return replace(
        simclr_1000(),
        architecture="resnet18",
        views=simclr_views(px=48, smallest_crop=0.4),
        objective=NtXent(temperature=0.2),
        optimizer=Sgd(lr=0.03, momentum=0.9, weight_decay=5e-4),
        schedule=WarmupCosine(warmup_epochs=1),
        batch_size=64,
        epochs=28,
    )


def simclr_smoke() -> Recipe:
    """Seconds on a CPU: shows that the parts fit; too short to learn anything."""
    return replace(
        simclr_1000(),
        architecture="resnet18",
        views=simclr_views(px=32),
        optimizer=Lars(lr=0.005, momentum=0.9, weight_decay=1e-6, trust=0.001, remembers="steps"),
        schedule=WarmupCosine(warmup_epochs=0),
        batch_size=4,
        epochs=1,
    )


def simclr_views(*, px: int, smallest_crop: float = 0.08) -> tuple[View, ...]:
    """Two draws of the same pipeline; the blur is in proportion to the side, up to 2 px of 224."""
    crop = RandomResizedCrop(px, scale=(smallest_crop, 1.0), interpolation="bicubic")
    program = (
        Flip(p=0.5),
        ColorJitter(0.8, 0.8, 0.8, 0.2, p=0.8, brightness_kind="plus"),
        Grayscale(p=0.2),
        GaussianBlur(sigma=(0.1, 2.0 * px / 224), p=0.5, kind="conv23"),
        Normalize(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    )
    return View("first", crop, program), View("second", crop, program)
