"""The supervised baseline: a classifier trained on the labels of the data, by the same loop.

Published: 76.1 % ImageNet top-1 of the trained network itself (ResNet-50, 90 epochs, one crop), by the torchvision
authors for the weights IMAGENET1K_V1, which this setting made. Not a linear probe's number.
Measured here: not yet.
Cost: hours unknown; 90 epochs of 1.28 million images, each encoded once an epoch.

    goodviews pretrain supervised_90 --data IMAGENET --out runs/supervised_90 --set dim=1000

The setting is that of torchvision's reference training at the time: SGD with a decay on every parameter, a tenth of
the rate every 30 epochs, random crops and flips alone. The encoder folder holds the backbone without its classifier,
as with every other recipe. `top1` in the metrics is of the training views as the network sees them, not of held-out
photos.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from ..models.labels import Labels
from ..models.memory import Known
from ..models.optimizers import Sgd
from ..models.schedules import Steps
from ..objective import Networks, Orders, Step
from ..recipe import Recipe
from ..views.operations import Flip, Normalize
from ..views.view import RandomResizedCrop, View


@dataclass(frozen=True)
class Classify:
    """Cross-entropy of the labels; chance is log(classes)."""

    view_names: ClassVar[tuple[str, ...]] = ("image",)
    patches: ClassVar[int] = 0
    needs: ClassVar[tuple[type, ...]] = ()

    def __call__(self, networks: Networks, known: Known, views: Mapping[str, Tensor], orders: Orders) -> Step:
        classes = known[Labels].classes
        (logits,), _ = networks.query([views["image"]])
        loss = F.cross_entropy(logits, classes)
        top1 = 100 * (logits.detach().argmax(dim=1) == classes).float().mean()
        return Step(loss=loss, losses={"classify": loss}, metrics={"top1": top1})


def supervised_90() -> Recipe:
    """The usual 90-epoch setting for ImageNet's 1000 classes."""
    return Recipe(
        architecture="resnet50",
        views=supervised_views(px=224),
        objective=Classify(),
        optimizer=Sgd(lr=0.1, momentum=0.9, weight_decay=1e-4),
        schedule=Steps(milestones=(30, 60)),
        batch_size=256,
        epochs=90,
        head="classifier",
        dim=1000,
    )


def supervised_imagenette_cpu() -> Recipe:
    """For about 5,000 photos of ten classes on a CPU: the backbone and crops of infomin_imagenette_cpu.

    Ours, not published.
    """
    return replace(
        supervised_90(),
        architecture="resnet18",
        views=supervised_views(px=48, smallest_crop=0.4),
        optimizer=Sgd(lr=0.03, momentum=0.9, weight_decay=5e-4),
        schedule=Steps(milestones=(14, 22)),
        batch_size=64,
        epochs=28,
        dim=10,
    )


def supervised_smoke() -> Recipe:
    """Seconds on a CPU and two classes: shows that the parts fit; too short to learn anything."""
    return replace(
        supervised_90(),
        architecture="resnet18",
        views=supervised_views(px=32),
        optimizer=Sgd(lr=0.01, momentum=0.9, weight_decay=1e-4),
        batch_size=4,
        epochs=1,
        dim=2,
    )


def supervised_views(*, px: int, smallest_crop: float = 0.08) -> tuple[View, ...]:
    """One random crop, mirrored half the time."""
    return (View("image", RandomResizedCrop(px, scale=(smallest_crop, 1.0)), (Flip(p=0.5), Normalize())),)
