"""What the detectors on torchvision are made of, where torchvision's own parts compute something else than published.

Every part here computes what detectron2's does with the published settings; the tests say how that is known.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from timm.models.resnet import ResNet
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from ...hub.errors import UsageError

if TYPE_CHECKING:
    from ...hub.preprocessing import Preprocessing
    from ..detection.settings import DetectionSettings

STRIDES = (4, 8, 16, 32)  # of a ResNet's four stages


def copied_resnet(backbone: nn.Module) -> ResNet:
    """A copy of an encoder's backbone to make a detector of.

    Raises:
        UsageError: it is not a ResNet, or one with other strides.
    """
    name = getattr(backbone, "pretrained_cfg", {}).get("architecture", type(backbone).__name__)
    if not isinstance(backbone, ResNet):
        raise UsageError(f"Detection is defined for ResNet encoders, such as resnet18 or resnet50; this one is {name}.")
    if backbone.feature_info[3]["reduction"] != STRIDES[2] or isinstance(backbone.maxpool, nn.Identity):
        raise UsageError(
            f"Detection needs an encoder with stride {STRIDES[2]} after its third stage; {name} as built here has "
            "another."
        )
    return copy.deepcopy(backbone)


def stage_channels(net: ResNet) -> tuple[int, ...]:
    """Channels after each of the four stages."""
    return tuple(int(stage["num_chs"]) for stage in net.feature_info[1:])  # type: ignore[call-overload]


def proposal_network(
    channels: int, anchors: Sequence[Sequence[int]], strides: Sequence[int], settings: DetectionSettings
) -> RegionProposalNetwork:
    """Region proposals from maps of `channels`; `anchors` holds the sizes, and `strides` the stride, of each map."""
    made = ExactAnchors(tuple(map(tuple, anchors)), (settings.anchor_ratios,) * len(anchors), strides)
    return L1Proposals(
        made,
        RPNHead(channels, made.num_anchors_per_location()[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=settings.rpn_samples,
        positive_fraction=0.5,
        pre_nms_top_n=dict(zip(("training", "testing"), settings.proposals_before_nms)),
        post_nms_top_n=dict(zip(("training", "testing"), settings.proposals)),
        nms_thresh=0.7,
    )


class AsGiven(GeneralizedRCNNTransform):
    """Normalises and pads; photos come at the size they are to be seen at, resized by Pillow and antialiased."""

    def __init__(self, preprocessing: Preprocessing, multiple_of: int):
        super().__init__(0, 0, list(preprocessing.mean), list(preprocessing.std), size_divisible=multiple_of)

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        return image, target


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
        found, truth = objectness.flatten()[sampled], torch.cat(labels)[sampled]
        return F.binary_cross_entropy_with_logits(found, truth, reduction="sum") / per_batch, box_loss
