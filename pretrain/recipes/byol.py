"""BYOL: one view's embedding must be predictable from the other's; no negatives, but a target, an EMA of the network.

Published: 74.3 % ImageNet top-1 at 1000 epochs (linear probe, ResNet-50), by its authors.
Measured here: not yet.
Cost: hours unknown; 1000 epochs of 1.28 million images, each encoded four times an epoch, in batches of 4096.

    goodviews pretrain byol_1000 --data IMAGENET --out runs/byol_1000

Paper: Grill et al., "Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning", arXiv:2006.07733. Every
batch norm takes its statistics over all processes, the target's too, which work with the batch's statistics. Where
paper and code (google-deepmind/deepmind-research, byol/) differ or leave it open, we take:
- Budgets of 40, 100, 300 and 1000 epochs with the rates, decays and target momenta of the code's presets.
- The target starts equal to the online network; the code draws it anew and notes that this made no difference.
- The target moves after the optimizer step, by the momentum of the step just made (code).
- Each view goes through the networks by itself (code), so that its batch statistics are of its own kind of change.
- The two views have different programs: blur always and no solarising, blur for one in ten and solarising for one in
  five; each is once the predicted one.
- LARS: batch norms and biases without decay and without a rate of their own; the rate outside the momentum (code).
- Residual branches are zero-initialised (the code's library, haiku). Convolutions start with He's normal weights by
  fan-out (timm), not haiku's; stem and pooling pad all sides (PyTorch).
- Brightness is added (code), up to 0.4 of the full one. Jitter, gray, blur and solarising work on 8 bits. Blur mirrors
  edges. Crops are made smaller with antialiasing (Pillow's bicubic).
- The authors train a linear classifier on the side; our online kNN takes its place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from ..models.ema import Target
from ..models.losses import squared_distance
from ..models.memory import Known
from ..models.optimizers import Lars, Sgd
from ..models.schedules import MocoCosine, WarmupCosine
from ..objective import Networks, Orders, Step
from ..recipe import Recipe
from ..views.operations import ColorJitter, Flip, GaussianBlur, Grayscale, Normalize, Solarize
from ..views.view import Operation, RandomResizedCrop, View


@dataclass(frozen=True)
class Byol:
    """Each view's prediction against the target's projection of the other.

    loss = the sum of both directions; `losses` reports their mean: 0 when perfect, 2 at random.
    """

    view_names: ClassVar[tuple[str, ...]] = ("first", "second")
    patches: ClassVar[int] = 0
    needs: ClassVar[tuple[type, ...]] = (Target,)

    def __call__(self, networks: Networks, known: Known, views: Mapping[str, Tensor], orders: Orders) -> Step:
        first, second = (networks.keys(views[name], orders.keys).own for name in self.view_names)
        (from_first, from_second), _ = networks.query([views[name] for name in self.view_names])
        prediction = squared_distance(from_first, second) + squared_distance(from_second, first)
        return Step(loss=prediction, losses={"prediction": prediction / 2})


def byol_1000() -> Recipe:
    """The published 1000-epoch setting."""
    return Recipe(
        architecture="resnet50",
        views=byol_views(px=224),
        objective=Byol(),
        optimizer=Lars(lr=3.2, momentum=0.9, weight_decay=1.5e-6, trust=0.001, remembers="gradients"),
        schedule=WarmupCosine(warmup_epochs=10),
        batch_size=4096,
        epochs=1000,
        head="byol",
        dim=256,
        slow=Target(momentum=0.996),
        batch_norm="shared",
        zero_init_last=True,
    )


def byol_300() -> Recipe:
    """The published 300-epoch setting."""
    return _shorter(300, lr=4.8, momentum=0.99)


def byol_100() -> Recipe:
    """The published 100-epoch setting."""
    return _shorter(100, lr=7.2, momentum=0.99)


def byol_40() -> Recipe:
    """The published 40-epoch setting."""
    return _shorter(40, lr=7.2, momentum=0.97)


def byol_imagenette() -> Recipe:
    """ResNet-18 at 128 px on Imagenette for 800 epochs, as lightly's benchmark sets BYOL up.

    Published by lightly: 88.7 % kNN in 215 minutes on one A6000. Measured here: not yet. Theirs: SGD at a rate of 0.06,
    weight decay 5e-4, a cosine from epoch 0 to zero, a target of momentum 0.99 throughout. The loss here is four times
    theirs (the mean of both directions' negative cosines), so a quarter of the rate and four times the decay make the
    same steps. Ours: BYOL's own two programs (theirs are SimCLR's), and a target whose momentum rises from there.

        goodviews pretrain byol_imagenette --data imagenette2-160 --out RUN --keep gpu

    Source: lightly-ai/lightly, docs/source/getting_started/benchmarks.rst and benchmarks/imagenette_benchmark.py.
    """
    return replace(
        byol_1000(),
        architecture="resnet18",
        views=byol_views(px=128),
        optimizer=Sgd(lr=0.015, momentum=0.9, weight_decay=2e-3),
        schedule=MocoCosine(),
        batch_size=256,
        epochs=800,
        slow=Target(momentum=0.99),
        zero_init_last=False,
    )


def byol_imagenette_cpu() -> Recipe:
    """For about 5,000 photos on a CPU: the backbone and crops of infomin_imagenette_cpu.

    Ours, not published: plain SGD, since LARS is made for large batches, and a target that follows within a hundred
    steps.
    """
    return replace(
        byol_1000(),
        architecture="resnet18",
        views=byol_views(px=48, smallest_crop=0.4),
        optimizer=Sgd(lr=0.03, momentum=0.9, weight_decay=5e-4),
        schedule=WarmupCosine(warmup_epochs=1),
        batch_size=64,
        epochs=28,
        slow=Target(momentum=0.99),
    )


def byol_smoke() -> Recipe:
    """Seconds on a CPU: shows that the parts fit; too short to learn anything."""
    return replace(
        byol_1000(),
        architecture="resnet18",
        views=byol_views(px=32),
        optimizer=Lars(lr=0.005, momentum=0.9, weight_decay=1e-6, trust=0.001, remembers="gradients"),
        schedule=WarmupCosine(warmup_epochs=0),
        batch_size=4,
        epochs=1,
    )


def byol_views(*, px: int, smallest_crop: float = 0.08) -> tuple[View, ...]:
    """Two views of one kind of crop with a program each; the blur is in proportion to the side."""
    crop = RandomResizedCrop(px, scale=(smallest_crop, 1.0), interpolation="bicubic")
    first, second = byol_program(px, blur=1.0, solarize=0.0), byol_program(px, blur=0.1, solarize=0.2)
    return View("first", crop, (*first, Normalize())), View("second", crop, (*second, Normalize()))


def byol_program(px: int, *, blur: float, solarize: float) -> tuple[Operation, ...]:
    """All but the normalisation; `blur` and `solarize` are probabilities."""
    return (
        Flip(p=0.5),
        ColorJitter(0.4, 0.4, 0.2, 0.1, p=0.8, brightness_kind="plus"),
        Grayscale(p=0.2),
        GaussianBlur(sigma=(0.1, 2.0 * px / 224), p=blur, kind="conv23"),
        Solarize(p=solarize, threshold=128),
    )


def _shorter(epochs: int, *, lr: float, momentum: float) -> Recipe:
    return replace(
        byol_1000(),
        optimizer=Lars(lr=lr, momentum=0.9, weight_decay=1e-6, trust=0.001, remembers="gradients"),
        epochs=epochs,
        slow=Target(momentum=momentum),
    )
