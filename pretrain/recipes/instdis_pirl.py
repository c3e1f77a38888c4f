"""InstDis and PIRL as PyContrast has them: an image must find its own row in a memory of all images.

Published: InstDis 59.5 % ImageNet top-1, PIRL 61.7 % (linear probe, ResNet-50, 200 epochs), by PyContrast's authors.
Measured here: not yet.
Cost: hours unknown, on eight GPUs; 200 epochs of 1.28 million images, each encoded once an epoch, with PIRL also as
nine patches.

    goodviews pretrain instdis_200 --data IMAGENET --out runs/instdis_200

Papers: Wu, Xiong, Yu & Lin, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination",
arXiv:1805.01978 (InstDis); Misra & van der Maaten, "Self-Supervised Learning of Pretext-Invariant Representations",
arXiv:1912.01991 (PIRL). One view of each image is compared with the image's row in the bank, an average of its
embeddings in earlier epochs, among 65536 rows drawn for it; PIRL does the same with nine shuffled patches and the same
rows. Where the papers, their code and PyContrast differ, we take PyContrast's:
- Loss: a softmax over the drawn rows. The first InstDis (zhirongw/lemniscate.pytorch) and PIRL contrast by noise
  estimation, with 4096 and 32000 rows and an estimated constant.
- The own row may be among those drawn, and rows may be drawn twice. Harmless for ImageNet's 1.28 million; with data of
  few images lower memory.negatives (a warning says so).
- Schedule: its cosine, which its run document asks for, not the steps that are its default; a batch above 256 warms up.
- Batch norm: over the whole process, 256 images on one GPU, where the published runs had 32 on each of eight.
- PIRL's patches keep their colours (the original changes them) and are shuffled in the head; the bank is written with
  the whole image's embedding only.
- Similarities are computed to the whole bank and the drawn ones taken out, the same numbers by less work.
- A batch's last embedding counts for an image that occurs twice in it; an incomplete last batch is dropped.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.losses import bank_logits
from ..models.memory import Known
from ..models.memory_bank import Bank, BankRows
from ..models.optimizers import Sgd
from ..models.schedules import PyContrastCosine
from ..objective import Networks, Orders, Step
from ..recipe import Recipe
from ..views.operations import ColorJitter, CutJigsaw, Flip, Grayscale, Normalize
from ..views.view import RandomResizedCrop, View


@dataclass(frozen=True)
class InstanceContrast:
    """Cross-entropy of finding the image's own row among those drawn; chance is log(K + 1)."""

    view_names: ClassVar[tuple[str, ...]] = ("image",)
    patches: ClassVar[int] = 0
    needs: ClassVar[tuple[type, ...]] = (Bank,)

    temperature: float = 0.07

    def __call__(self, networks: Networks, known: Known, views: Mapping[str, Tensor], orders: Orders) -> Step:
        bank = known[BankRows]
        (image,), _ = networks.query([views["image"]])
        logits = bank_logits(image, bank.banks[0], bank.places, temperature=self.temperature)
        contrast = _own_row(logits)
        metrics = {"own_first": own_row_first(logits)}
        return Step(contrast, {"contrast": contrast}, networks.everyone(image.detach()), metrics)


@dataclass(frozen=True)
class Pirl:
    """The same for the image and for its shuffled patches, with the same rows.

    loss = (1 - jigsaw_weight) * contrast + jigsaw_weight * jigsaw
    """

    view_names: ClassVar[tuple[str, ...]] = ("image", "jigsaw")
    patches: ClassVar[int] = 9
    needs: ClassVar[tuple[type, ...]] = (Bank,)

    temperature: float = 0.07
    jigsaw_weight: float = 0.5

    def __call__(self, networks: Networks, known: Known, views: Mapping[str, Tensor], orders: Orders) -> Step:
        bank = known[BankRows]
        (image,), patches = networks.query([views["image"]], views["jigsaw"], orders.patches)
        logits, of_patches = (
            bank_logits(rows, bank.banks[0], bank.places, temperature=self.temperature) for rows in (image, patches)
        )
        contrast, jigsaw = _own_row(logits), _own_row(of_patches)
        loss = (1 - self.jigsaw_weight) * contrast + self.jigsaw_weight * jigsaw
        metrics = {"own_first": own_row_first(logits)}
        return Step(loss, {"contrast": contrast, "jigsaw": jigsaw}, networks.everyone(image.detach()), metrics)


def _own_row(logits: Tensor) -> Tensor:
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


def own_row_first(logits: Tensor) -> Tensor:
    """Share of images nearer to their own row than to every drawn one, 0-1."""
    return (logits.detach()[:, 0] >= logits.detach().amax(dim=1)).float().mean()


def instdis_200() -> Recipe:
    """PyContrast's 200-epoch setting of InstDis."""
    return Recipe(
        architecture="resnet50",
        views=instance_views(px=224),
        objective=InstanceContrast(temperature=0.07),
        optimizer=Sgd(lr=0.03, momentum=0.9, weight_decay=1e-4),
        schedule=PyContrastCosine(),
        batch_size=256,
        epochs=200,
        head="linear",
        memory=Bank(negatives=65536, momentum=0.5),
    )


def instdis_smoke() -> Recipe:
    """Seconds on a CPU: shows that the parts fit; too short to learn anything."""
    return _small(instdis_200(), instance_views(px=32))


def pirl_200() -> Recipe:
    """PyContrast's 200-epoch setting of PIRL."""
    views = (*instance_views(px=224), jigsaw_view(px=255, patch_px=64))
    objective = Pirl(temperature=0.07, jigsaw_weight=0.5)
    return replace(instdis_200(), views=views, objective=objective)


def pirl_smoke() -> Recipe:
    """Seconds on a CPU: shows that the parts fit; too short to learn anything."""
    return _small(pirl_200(), (*instance_views(px=32), jigsaw_view(px=48, patch_px=12)))


def instance_views(*, px: int) -> tuple[View, ...]:
    """PyContrast's augmentation A with the crops it takes for memory banks."""
    program = (Flip(p=0.5), ColorJitter(0.4, 0.4, 0.4, 0.4), Grayscale(p=0.2), Normalize())
    return (View("image", RandomResizedCrop(px, scale=(0.08, 1.0)), program),)


def jigsaw_view(*, px: int, patch_px: int) -> View:
    """Nine patches of a crop of its own, as InfoMin's."""
    program = (Flip(p=0.5), CutJigsaw(grid=3, patch_px=patch_px), Normalize())
    return View("jigsaw", RandomResizedCrop(px, scale=(0.6, 1.0)), program)


def _small(recipe: Recipe, views: tuple[View, ...]) -> Recipe:
    memory = Bank(negatives=5, momentum=0.5)
    return replace(recipe, architecture="resnet18", views=views, batch_size=4, epochs=1, memory=memory)
