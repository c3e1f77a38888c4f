"""CLSA for small photos and CPUs: MoCo v2's and InfoMin's small settings with CLSA's views and loss.

Published: nothing; these settings are ours.
Measured here: at half the width and half the epochs, docs/results/orderings-imagenette224; at half the epochs,
docs/results/orderings-cifar10.
Cost: for those runs on 5,000 photos of ten classes, half an hour on two CPU cores with one strong crop, an hour and a
half with five sizes.

    goodviews pretrain clsa_imagenette_cpu --data imagenette2-160 --out runs/clsa_imagenette_cpu

Paper and differences: see clsa.
"""

from collections.abc import Sequence
from dataclasses import replace

from ..models.ema import KeyNetwork
from ..models.optimizers import Sgd
from ..models.queue import Queue
from ..recipe import Recipe
from ..views.view import RandomResizedCrop
from .clsa import Clsa, clsa_200, clsa_views, crop_names

_SHARES = ((0.4, 1.0), (0.344, 0.86), (0.286, 0.715), (0.228, 0.571), (0.172, 0.429))  # twice the published lower ends
_FIVE_SMALL = tuple(map(RandomResizedCrop, (48, 42, 36, 30, 24), _SHARES))
_FIVE_CIFAR = tuple(map(RandomResizedCrop, (32, 28, 24, 20, 16), _SHARES))


def clsa_imagenette() -> Recipe:
    """The backbone, crops, budget, queue and rate of moco_v2_imagenette; views and objective of CLSA, one strong crop.

    Ours, not published, to be compared with the benchmark named there. The strong crop's side is in proportion.
    """
    whole, part = RandomResizedCrop(128, (0.2, 1.0)), RandomResizedCrop(56, (0.086, 0.429))
    return replace(
        clsa_200(),
        architecture="resnet18",
        views=clsa_views(whole, weak=[whole], strong=[part], blur_px=2.0 * 128 / 224),
        objective=Clsa(weak=("weak_128",), strong=("strong_56",)),
        optimizer=Sgd(lr=0.06, momentum=0.9, weight_decay=5e-4),
        epochs=800,
        slow=KeyNetwork(momentum=0.99, group=32),
        memory=Queue(4096),
    )


def clsa_imagenette_cpu() -> Recipe:
    """For about 5,000 photos on a CPU: the backbone, crops, queue and epochs of infomin_imagenette_cpu.

    Ours, not published; the reasons for each number stand there, and in moco_v2_imagenette_cpu. The strong crop shows
    3/7 as much of the photo as the others, as published, at half their side; its policy is whole.
    """
    whole, part = _FIVE_SMALL[0], _FIVE_SMALL[-1]
    return replace(
        clsa_200(),
        architecture="resnet18",
        views=clsa_views(whole, weak=[whole], strong=[part], colour=0.5, blur_px=2.0 * 48 / 224),
        objective=Clsa(weak=("weak_48",), strong=("strong_24",)),
        optimizer=Sgd(lr=0.03, momentum=0.9, weight_decay=5e-4),
        batch_size=64,
        epochs=40,
        slow=KeyNetwork(momentum=0.996, group=32),
        memory=Queue(1024),
        zero_init_last=True,
    )


def clsa_multi_imagenette_cpu() -> Recipe:
    """clsa_imagenette_cpu with weak and strong crops of five sizes, from its largest to its smallest; ours too.

    Each shows the share of the photo that the published size does, but at least twice its lower end. Ten crops go
    through the query network instead of two: a step takes about four times as long. Terms are averaged instead of
    summed (see above); docs/results/orderings-imagenette224 shows what the sum costs so short a run.
    """
    return _with_sizes(clsa_imagenette_cpu(), _FIVE_SMALL)


def clsa_cifar_cpu() -> Recipe:
    """For about 8,000 photos of 32 px on a CPU: the network and epochs of moco_v2_cifar_cpu.

    Ours, not published: clsa_imagenette_cpu at the photos' own size.
    """
    whole, part = _FIVE_CIFAR[0], _FIVE_CIFAR[-1]
    return replace(
        clsa_imagenette_cpu(),
        architecture="resnet18_cifar",
        width=0.25,
        views=clsa_views(whole, weak=[whole], strong=[part], colour=0.5, blur_px=2.0 * 32 / 224),
        objective=Clsa(weak=("weak_32",), strong=("strong_16",)),
        epochs=12,
    )


def clsa_multi_cifar_cpu() -> Recipe:
    """clsa_cifar_cpu with weak and strong crops of five sizes, as in clsa_multi_imagenette_cpu."""
    return _with_sizes(clsa_cifar_cpu(), _FIVE_CIFAR)


def _with_sizes(small: Recipe, crops: Sequence[RandomResizedCrop]) -> Recipe:
    """A recipe for a CPU with weak and strong crops of all these sizes, its terms averaged instead of summed."""
    return replace(
        small,
        views=clsa_views(crops[0], weak=crops, strong=crops, colour=0.5, blur_px=2.0 * crops[0].px / 224),
        objective=Clsa(weak=crop_names("weak", crops), strong=crop_names("strong", crops), match_weight=1 / len(crops)),
        optimizer=Sgd(lr=0.03 / len(crops), momentum=0.9, weight_decay=5e-4 * len(crops)),
    )
