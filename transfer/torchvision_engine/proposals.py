"""The region proposal network: torchvision's, with anchors and losses as detectron2 computes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead

if TYPE_CHECKING:
    from ..detection.settings import DetectionSettings


def proposal_network(
    channels: int, anchors: Sequence[Sequence[int]], strides: Sequence[int], settings: DetectionSettings
) -> RegionProposalNetwork:
    """Region proposals from maps of `channels`; `anchors` holds the sizes, and `strides` the stride, of each map."""
    generator = ExactAnchors(tuple(map(tuple, anchors)), (settings.anchor_ratios,) * len(anchors), strides)
    return L1Proposals(
        generator,
        RPNHead(channels, generator.num_anchors_per_location()[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=settings.rpn_samples,
        positive_fraction=0.5,
        pre_nms_top_n=dict(zip(("training", "testing"), settings.proposals_before_nms)),
        post_nms_top_n=dict(zip(("training", "testing"), settings.proposals)),
        nms_thresh=0.7,
    )


class ExactAnchors(AnchorGenerator):
    """Anchors not rounded to pixels, on the maps' true grids also where a side is no multiple of a stride."""

    def __init__(self, sizes: Any, ratios: Any, strides: Sequence[int]):
        super().__init__(sizes, ratios)
        self.strides = tuple(strides)

    def generate_anchors(
        self,
        scales: list[int],
        aspect_ratios: list[float],
        dtype: torch.dtype = torch.float32,
        device: torch.device = torch.device("cpu"),  # noqa: B008  # torchvision's signature
    ) -> Tensor:
        sides = torch.as_tensor(scales, dtype=dtype, device=device)
        root = torch.as_tensor(aspect_ratios, dtype=dtype, device=device).sqrt()[:, None]  # ratio is height / width
        width, height = (sides / root).flatten(), (sides * root).flatten()
        return torch.stack([-width, -height, width, height], dim=1) / 2

    def grid_anchors(self, grid_sizes: list[list[int]], strides: list[list[Tensor]]) -> list[Tensor]:
        exact = [[torch.full_like(side, own) for side in pair] for pair, own in zip(strides, self.strides, strict=True)]
        return super().grid_anchors(grid_sizes, exact)


class L1Proposals(RegionProposalNetwork):
    """Region proposals whose boxes learn from plain L1; both losses are sums divided by samples x photos."""

    def compute_loss(
        self, objectness: Tensor, pred_bbox_deltas: Tensor, labels: list[Tensor], regression_targets: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        positive, negative = (torch.cat(masks).bool() for masks in self.fg_bg_sampler(labels))
        sampled, per_batch = positive | negative, self.fg_bg_sampler.batch_size_per_image * len(labels)
        targets = torch.cat(regression_targets)[positive]
        box_loss = F.l1_loss(pred_bbox_deltas[positive], targets, reduction="sum") / per_batch
        logits, truth = objectness.flatten()[sampled], torch.cat(labels)[sampled]
        return F.binary_cross_entropy_with_logits(logits, truth, reduction="sum") / per_batch, box_loss
