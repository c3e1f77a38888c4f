"""CLSA: a strongly augmented view must rank keys and queue as a weakly augmented one does.

Published: 69.4 % ImageNet top-1 at 200 epochs, 72.2 % at 800 with one strong crop; 73.3 % at 200, 76.2 % at 800 with
weak and strong crops of five sizes (linear probe, ResNet-50), by its authors.
Measured here: not yet. Small variants: docs/results/orderings-imagenette224 and docs/results/orderings-cifar10.
Cost: hours unknown; 32 GPUs for 800 epochs with five sizes, not stated for the others. Each of 1.28 million images is
encoded three times an epoch with one strong crop, eleven times with five sizes.

    goodviews pretrain clsa_200 --data IMAGENET --out runs/clsa_200

Paper: Wang & Qi, "Contrastive Learning with Stronger Augmentations", arXiv:2104.07713. A weakly augmented crop is
contrasted as in MoCo v2. A strongly augmented one would be misled by that; instead its similarities to keys and queue,
as a distribution, are drawn to the weak crop's. Where paper and code (maple-research-lab/CLSA) differ or leave it open,
we take:
- Columns: the keys of the whole batch, then the queue, for contrast and match alike (code); the other images' keys are
  negatives too. MoCo, and as far as we know the paper, has the own key and the queue only.
- Where a process's own keys lie among all: by its global rank. The code takes the number of the GPU within its machine,
  which is wrong on several machines.
- Match: over all columns, the positive's too, towards the weak crop as the query network sees it, as a constant
  (code); both temperatures 0.2. It is a cross-entropy, not the divergence it is named for: the gradient is the same.
- Logarithm: log_softmax; the code's log of a softmax may become -inf.
- Terms: summed (code), 1 + 1 with one strong crop, 5 + 25 with five sizes, at one learning rate; each weak crop
  teaches each strong one. To average them instead, set match_weight to 1 / strong crops, divide lr by the weak crops
  and multiply weight_decay by them.
- Strong crop: 96 px from 8.6 to 42.9 % of the photo when there is one, not 224 (code). Five sizes are fixed, one crop
  of each, weak and strong, all drawn independently; crops that a setting does not use are not made.
- Key: one crop an image, always 224 px from 20 to 100 % of the photo (code).
- Each crop goes through the query network by itself, so with batch statistics of its own (code).
- EMA: updated after the optimizer step. The code updates it before the key is made in the next step: the same pairs
  of networks meet. Only keys have shuffled batch norm, in groups of 32 whatever the number of processes;
  queries have the statistics of their whole process, 256 images on one GPU (32 in the published runs).
- Schedule: a cosine from epoch 0 to zero (code). For 800 epochs batch and rate are not published: those of 200.
- Symmetric loss: the authors' is marked unverified and pairs queries with the wrong images' keys; see SymmetricClsa.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.ema import KeyNetwork, Keys
from ..models.losses import distributional_match, shared_similarities
from ..models.memory import Known
from ..models.optimizers import Sgd
from ..models.queue import Queue, QueueRows
from ..models.schedules import MocoCosine
from ..objective import Networks, Orders, Step
from ..recipe import Recipe
from ..views.operations import ColorJitter, Flip, GaussianBlur, Grayscale, Normalize
from ..views.strong_policy import StrongPolicy
from ..views.view import RandomResizedCrop, View

FIVE_SIZES = (
    RandomResizedCrop(224, (0.2, 1.0)),
    RandomResizedCrop(192, (0.172, 0.86)),
    RandomResizedCrop(160, (0.143, 0.715)),
    RandomResizedCrop(128, (0.114, 0.571)),
    RandomResizedCrop(96, (0.086, 0.429)),
)


@dataclass(frozen=True)
class Clsa:
    """Weak crops find their key; strong crops see keys and queue as the weak ones do.

    loss = sum over weak of contrast + match_weight * sum over weak and strong of match

    `losses` reports the mean of each kind of term, to be compared with log(B + K).

    Source: maple-research-lab/CLSA, model/CLSA.py, training/train.py.
    """

    patches: ClassVar[int] = 0
    needs: ClassVar[tuple[type, ...]] = (KeyNetwork, Queue)

    weak: tuple[str, ...] = ("weak_224",)
    strong: tuple[str, ...] = ("strong_96",)
    temperature: float = 0.2
    match_temperature: float = 0.2
    match_weight: float = 1.0

    @property
    def view_names(self) -> tuple[str, ...]:
        return "key", *self.weak, *self.strong

    def __call__(self, networks: Networks, known: Known, views: Mapping[str, Tensor], orders: Orders) -> Step:
        negatives = known[QueueRows].rows
        keys = networks.keys(views["key"], orders.keys)
        queries, _ = networks.query([views[name] for name in self.weak + self.strong])
        weak, strong = queries[: len(self.weak)], queries[len(self.weak) :]
        terms = compare(weak, strong, keys, negatives, self.temperature, self.match_temperature)
        pairs = len(weak) * len(strong)
        return Step(
            loss=len(weak) * terms.contrast + self.match_weight * pairs * terms.match,
            losses={"contrast": terms.contrast, "match": terms.match},
            keys=keys.everyone,
            metrics={"key_first": terms.key_first},
        )


@dataclass(frozen=True)
class SymmetricClsa:
    """CLSA both ways: the weak crop is scored against the key crop's key, and the key crop against the weak one's.

    loss = the sum of both directions, each as in Clsa with one weak crop; strong crops learn from both.

    The published variant encodes its second keys unshuffled and then undoes the first keys' shuffling on them, so that
    queries meet the keys of other images, and enqueues those. Here both sets are shuffled and put back alike, and the
    key crop's keys are enqueued, one an image as always.
    """

    patches: ClassVar[int] = 0
    needs: ClassVar[tuple[type, ...]] = (KeyNetwork, Queue)

    weak: str = "weak_224"
    strong: tuple[str, ...] = ("strong_96",)
    temperature: float = 0.2
    match_temperature: float = 0.2
    match_weight: float = 1.0

    @property
    def view_names(self) -> tuple[str, ...]:
        return "key", self.weak, *self.strong

    def __call__(self, networks: Networks, known: Known, views: Mapping[str, Tensor], orders: Orders) -> Step:
        negatives = known[QueueRows].rows
        keys = [networks.keys(views[name], orders.keys) for name in ("key", self.weak)]
        (from_key, from_weak, *strong), _ = networks.query([views[name] for name in self.view_names])
        there, back = (
            compare([query], strong, key, negatives, self.temperature, self.match_temperature)
            for query, key in zip((from_weak, from_key), keys, strict=True)
        )
        contrast, match = there.contrast + back.contrast, there.match + back.match
        return Step(
            loss=contrast + self.match_weight * len(strong) * match,
            losses={"contrast": contrast / 2, "match": match / 2},
            keys=keys[0].everyone,
            metrics={"key_first": (there.key_first + back.key_first) / 2},
        )


@dataclass(frozen=True)
class Terms:
    """Means over crops or pairs of crops: contrast, match, and the share of queries that rank their own key first."""

    contrast: Tensor
    match: Tensor
    key_first: Tensor


def compare(
    weak: Sequence[Tensor],
    strong: Sequence[Tensor],
    keys: Keys,
    negatives: Tensor,
    temperature: float,
    match_temperature: float,
) -> Terms:
    """CLSA's terms for the embeddings of weak and strong crops, each (N, D), unit rows.

    Every strong crop is matched once with the mean of the weak crops' distributions, not with each of them in turn:
    the sum is the same and the work a fifth.
    """
    own = keys.first + torch.arange(len(keys.own), device=keys.own.device)
    weakly, strongly = (
        [shared_similarities(query, keys.everyone, negatives) for query in kind] for kind in (weak, strong)
    )
    contrast = [F.cross_entropy(similar / temperature, own) for similar in weakly]
    target = torch.stack([(similar.detach() / match_temperature).softmax(dim=1) for similar in weakly]).mean(dim=0)
    match = [distributional_match(similar / match_temperature, target) for similar in strongly]
    first = [(similar.detach().argmax(dim=1) == own).float().mean() for similar in weakly]
    return Terms(torch.stack(contrast).mean(), torch.stack(match).mean(), torch.stack(first).mean())


def clsa_200() -> Recipe:
    """The published 200-epoch setting with one strong crop."""
    return Recipe(
        architecture="resnet50",
        views=clsa_views(FIVE_SIZES[0], weak=FIVE_SIZES[:1], strong=FIVE_SIZES[-1:]),
        objective=Clsa(weak=("weak_224",), strong=("strong_96",), temperature=0.2, match_temperature=0.2),
        optimizer=Sgd(lr=0.03, momentum=0.9, weight_decay=1e-4),
        schedule=MocoCosine(),
        batch_size=256,
        epochs=200,
        slow=KeyNetwork(momentum=0.999, group=32),
        memory=Queue(65536),
    )


def clsa_800() -> Recipe:
    """The published 800-epoch setting with one strong crop."""
    return replace(clsa_200(), epochs=800)


def clsa_multi_200() -> Recipe:
    """The published 200-epoch setting with weak and strong crops of five sizes."""
    return replace(
        clsa_200(),
        views=clsa_views(FIVE_SIZES[0], weak=FIVE_SIZES, strong=FIVE_SIZES),
        objective=Clsa(weak=crop_names("weak", FIVE_SIZES), strong=crop_names("strong", FIVE_SIZES)),
    )


def clsa_multi_800() -> Recipe:
    """The published 800-epoch setting with weak and strong crops of five sizes."""
    return replace(clsa_multi_200(), epochs=800)


def clsa_symmetric_200() -> Recipe:
    """One strong crop and both directions, corrected; ours, not published."""
    return replace(clsa_200(), objective=SymmetricClsa())


def clsa_smoke() -> Recipe:
    """Seconds on a CPU: shows that the parts fit; too short to learn anything."""
    whole, part = RandomResizedCrop(32, (0.2, 1.0)), RandomResizedCrop(16, (0.086, 0.429))
    return replace(
        clsa_200(),
        architecture="resnet18",
        views=clsa_views(whole, weak=[whole], strong=[part]),
        objective=Clsa(weak=("weak_32",), strong=("strong_16",)),
        batch_size=4,
        epochs=1,
        slow=KeyNetwork(momentum=0.999, group=2),
        memory=Queue(10),
    )


def clsa_views(
    key: RandomResizedCrop,
    *,
    weak: Sequence[RandomResizedCrop],
    strong: Sequence[RandomResizedCrop],
    colour: float = 1.0,
    blur_px: float = 2.0,
) -> tuple[View, ...]:
    """The key view, then weak and strong views named by their sides, weak_224 and so on; each its own draw.

    Key and weak views are changed as MoCo v2's are (`colour` and `blur_px` as there); a strong one is too, and then
    goes through the strong policy.
    """
    change = (
        ColorJitter(0.4 * colour, 0.4 * colour, 0.4 * colour, 0.1 * colour, p=0.8),
        Grayscale(p=0.2),
        GaussianBlur(sigma=(0.1, blur_px), p=0.5, kind="pil"),
        Flip(p=0.5),
    )
    weakly, strongly = (*change, Normalize()), (*change, StrongPolicy(draws=5, p=0.5), Normalize())
    return (
        View("key", key, weakly),
        *(View(name, crop, weakly) for name, crop in zip(crop_names("weak", weak), weak)),
        *(View(name, crop, strongly) for name, crop in zip(crop_names("strong", strong), strong)),
    )


def crop_names(kind: str, crops: Sequence[RandomResizedCrop]) -> tuple[str, ...]:
    """By kind and side: weak_224 and so on."""
    return tuple(f"{kind}_{crop.px}" for crop in crops)
