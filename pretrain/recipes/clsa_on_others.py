"""CLSA's distributional term on SimCLR and on BYOL: strong views learn from weak ones' distributions there too.

Published: nothing, as far as we know; CLSA's authors say that the term can be added to other contrastive methods.
Measured here: not yet.
Cost: hours unknown; each image is encoded three times an epoch, with BYOL's target five times.

    goodviews pretrain simclr_clsa_200 --data IMAGENET --out runs/simclr_clsa_200

Paper: Wang & Qi, "Contrastive Learning with Stronger Augmentations", arXiv:2104.07713. All of this is ours:
- The base method is unchanged: loss, weak views, optimizer and all. One strong crop is added, 96 px from 8.6 to 42.9 %
  of the photo, changed as the first view is and then by CLSA's strong policy.
- What a view is compared with: on SimCLR the other weak view of every image of the batch and the first's own kind of
  all other images, the columns of the base loss; on BYOL the target's projections of the other view of all images in
  the batch. There is no queue; the batch must be large enough to make a distribution worth matching.
- The strong view is drawn to both weak views' distributions, each over its own columns, and the terms are summed as
  CLSA's are. Columns and weak distributions are constants, as in CLSA.
- Both temperatures of the match are CLSA's 0.2; the base keeps its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.ema import Target
from ..models.full_precision import widen
from ..models.losses import distributional_match, in_batch_similarities, squared_distance
from ..models.memory import Known
from ..objective import Networks, Orders, Step
from ..recipe import Recipe
from ..views.strong_policy import StrongPolicy
from ..views.view import RandomResizedCrop, View
from .byol import byol_300, byol_smoke, byol_views
from .simclr import simclr_1000, simclr_smoke, simclr_views


@dataclass(frozen=True)
class SimclrClsa:
    """NT-Xent of two weak views, and a strong view that must see the batch as each of them does.

    loss = both contrasts + match_weight * both matches; `losses` reports the mean of each kind.
    """

    view_names: ClassVar[tuple[str, ...]] = ("first", "second", "strong")
    patches: ClassVar[int] = 0
    needs: ClassVar[tuple[type, ...]] = ()

    temperature: float = 0.1
    match_temperature: float = 0.2
    match_weight: float = 1.0

    def __call__(self, networks: Networks, known: Known, views: Mapping[str, Tensor], orders: Orders) -> Step:
        weak = torch.cat([views["first"], views["second"]])
        (both, strong), _ = networks.query([weak, views["strong"]])
        first, second = widen(both).chunk(2)
        everyone = networks.everyone(first), networks.everyone(second)
        begins = networks.rank * len(first)
        own = begins + torch.arange(len(first), device=first.device)
        contrast, match = first.new_zeros(()), first.new_zeros(())
        for anchors, others, partners in ((first, *everyone), (second, *everyone[::-1])):
            weakly = in_batch_similarities(anchors, partners, others, first=begins)
            strongly = in_batch_similarities(strong, partners.detach(), others.detach(), first=begins)
            contrast = contrast + F.cross_entropy(weakly / self.temperature, own)
            match = match + match_to(weakly, strongly, self.match_temperature)
        loss = contrast + self.match_weight * match
        return Step(loss=loss, losses={"contrast": contrast / 2, "match": match / 2})


@dataclass(frozen=True)
class ByolClsa:
    """BYOL of two weak views, and a strong view that must see the batch's targets as each of them does.

    loss = both predictions + match_weight * both matches; `losses` reports the mean of each kind.
    """

    view_names: ClassVar[tuple[str, ...]] = ("first", "second", "strong")
    patches: ClassVar[int] = 0
    needs: ClassVar[tuple[type, ...]] = (Target,)

    match_temperature: float = 0.2
    match_weight: float = 1.0

    def __call__(self, networks: Networks, known: Known, views: Mapping[str, Tensor], orders: Orders) -> Step:
        first, second = (networks.keys(views[name], orders.keys) for name in ("first", "second"))
        (from_first, from_second, strong), _ = networks.query([views[name] for name in self.view_names])
        prediction, match = strong.new_zeros(()), strong.new_zeros(())
        for weak, target in ((from_first, second), (from_second, first)):
            prediction = prediction + squared_distance(weak, target.own)
            weakly, strongly = (widen(rows) @ target.everyone.detach().T for rows in (weak, strong))
            match = match + match_to(weakly, strongly, self.match_temperature)
        loss = prediction + self.match_weight * match
        return Step(loss=loss, losses={"prediction": prediction / 2, "match": match / 2})


def match_to(weak: Tensor, strong: Tensor, temperature: float) -> Tensor:
    """`distributional_match` of a strong view's similarities (N, C) to a weak view's over the same columns."""
    return distributional_match(strong / temperature, (weak.detach() / temperature).softmax(dim=1))


def simclr_clsa_200() -> Recipe:
    """SimCLR with CLSA's term, 200 epochs; ours, not published."""
    views = with_strong(simclr_views(px=224), strong_px=96)
    return replace(simclr_1000(), epochs=200, views=views, objective=SimclrClsa())


def simclr_clsa_smoke() -> Recipe:
    """Seconds on a CPU: shows that the parts fit; too short to learn anything."""
    views = with_strong(simclr_views(px=32), strong_px=16)
    return replace(simclr_smoke(), views=views, objective=SimclrClsa())


def byol_clsa_300() -> Recipe:
    """BYOL with CLSA's term, 300 epochs; ours, not published."""
    views = with_strong(byol_views(px=224), strong_px=96)
    return replace(byol_300(), views=views, objective=ByolClsa())


def byol_clsa_smoke() -> Recipe:
    """Seconds on a CPU: shows that the parts fit; too short to learn anything."""
    views = with_strong(byol_views(px=32), strong_px=16)
    return replace(byol_smoke(), views=views, objective=ByolClsa())


def with_strong(weak: tuple[View, ...], *, strong_px: int) -> tuple[View, ...]:
    """The weak views and a strong one: the first's program with CLSA's policy before the normalisation."""
    *program, normalize = weak[0].program
    crop = RandomResizedCrop(strong_px, (0.086, 0.429))
    return *weak, View("strong", crop, (*program, StrongPolicy(draws=5, p=0.5), normalize))
