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
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import roi_align

from ..hub.errors import UsageError
from .torchvision_masks import cut_masks, mask_loss

if TYPE_CHECKING:
    from ..hub.preprocessing import Preprocessing
    from .detection import DetectionSettings

STRIDES = (4, 8, 16, 32)  # of a ResNet's four stages
CANONICAL_PX, CANONICAL_STRIDE = 224, 16  # a region of this size is seen at this stride


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


def class_and_box_layers(predictor: FastRCNNPredictor) -> FastRCNNPredictor:
    """The predictor with its weights drawn as published."""
    nn.init.normal_(predictor.cls_score.weight, std=0.01)
    nn.init.normal_(predictor.bbox_pred.weight, std=0.001)
    nn.init.zeros_(predictor.cls_score.bias)
    nn.init.zeros_(predictor.bbox_pred.bias)
    return predictor


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


class RegionAlign(nn.Module):
    """RoIAlign with the half-pixel correction and adaptive sampling; each region is seen on the map for its size.

    Source: Lin et al. 2017 (arXiv:1612.03144), eq. 1, for the choice of the map.
    """

    def __init__(self, strides: Sequence[int], output_px: int):
        super().__init__()
        self.strides, self.output_px = tuple(strides), output_px

    def forward(self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """(R, C, output_px, output_px) of the R boxes of all photos, in pixels as the network sees them."""
        regions = torch.cat([F.pad(some, (1, 0), value=photo) for photo, some in enumerate(boxes)])
        maps = list(features.values())[: len(self.strides)]
        if len(maps) == 1:
            return self._cut(maps[0], regions, self.strides[0])
        levels = self.levels(regions[:, 1:])
        seen = maps[0].new_zeros(len(regions), maps[0].shape[1], self.output_px, self.output_px)
        for level, (one, stride) in enumerate(zip(maps, self.strides)):
            here = torch.where(levels == level)[0]
            seen = seen.index_put((here,), self._cut(one, regions[here], stride))
        return seen

    def levels(self, boxes: Tensor) -> Tensor:
        """The number of the map on which each box is seen."""
        sides = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt()
        shift = torch.log2(sides / CANONICAL_PX + 1e-8).floor().long()
        return (self.strides.index(CANONICAL_STRIDE) + shift).clamp(0, len(self.strides) - 1)

    def _cut(self, one: Tensor, regions: Tensor, stride: int) -> Tensor:
        return roi_align(one, regions, self.output_px, 1 / stride, sampling_ratio=0, aligned=True)


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


class Regions(RoIHeads):
    """Classes and boxes of regions and, where there is a mask branch, their masks.

    Boxes learn from plain L1, the sum divided by the regions sampled. A subclass says which maps the mask branch sees.

    Args:
        align: features and boxes -> (R, C, h, w).
        head: what sees that.
        predictor: what the head gives -> logits and deltas.
        mask_branch: (n, C, h, w) -> (n, classes, m, m) logits; None: no masks.
    """

    def __init__(
        self,
        align: RegionAlign,
        head: nn.Module,
        predictor: FastRCNNPredictor,
        mask_branch: nn.Module | None,
        settings: DetectionSettings,
    ):
        super().__init__(
            align,
            head,
            predictor,
            fg_iou_thresh=0.5,
            bg_iou_thresh=0.5,
            batch_size_per_image=settings.roi_samples,
            positive_fraction=0.25,
            bbox_reg_weights=(10.0, 10.0, 5.0, 5.0),
            score_thresh=settings.min_score,
            nms_thresh=settings.nms_iou,
            detections_per_img=settings.detections_per_photo,
        )
        self.mask_branch = mask_branch

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Any]] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """In training the losses; in evaluation "boxes", "scores", "labels" and "mask_probabilities" (n, m, m)."""
        if self.training:
            assert targets is not None
            return [], self._losses(features, proposals, image_shapes, targets)
        return self._found(features, proposals, image_shapes), {}

    def maps_of_objects(
        self,
        features: dict[str, Tensor],
        objects: list[Tensor],
        seen: Tensor,
        is_object: Tensor,
        image_shapes: list[tuple[int, int]],
    ) -> Tensor:
        """What the mask branch learns from: the maps of the regions that hold an object.

        Args:
            objects: their boxes, photo by photo.
            seen: what the head gave for all R regions.
            is_object: (R,) bool.
        """
        raise NotImplementedError

    def maps_of_found(
        self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> Tensor:
        """What the mask branch sees of boxes that were found."""
        raise NotImplementedError

    def _losses(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Any]],
    ) -> dict[str, Tensor]:
        regions, matched, labels, box_targets = self.select_training_samples(proposals, targets)
        seen = self.box_head(self.box_roi_pool(features, regions, image_shapes))
        logits, deltas = self.box_predictor(seen)
        losses = region_losses(logits, deltas, torch.cat(labels), torch.cat(box_targets))
        if self.mask_branch is None:
            return losses
        is_object = [names > 0 for names in labels]
        objects = [boxes[chosen] for boxes, chosen in zip(regions, is_object)]
        everywhere = torch.cat(is_object)
        masks = self.mask_branch(self.maps_of_objects(features, objects, seen, everywhere, image_shapes))
        truth = [
            cut_masks([target["masks"][index] for index in which[chosen].tolist()], boxes, masks.shape[-1])
            for target, which, chosen, boxes in zip(targets, matched, is_object, objects)
        ]
        return {**losses, "loss_mask": mask_loss(masks, torch.cat(labels)[everywhere], torch.cat(truth))}

    def _found(
        self, features: dict[str, Tensor], proposals: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> list[dict[str, Tensor]]:
        logits, deltas = self.box_predictor(self.box_head(self.box_roi_pool(features, proposals, image_shapes)))
        boxes, scores, labels = self.postprocess_detections(logits, deltas, proposals, image_shapes)
        found = [dict(zip(("boxes", "scores", "labels"), photo)) for photo in zip(boxes, scores, labels)]
        if self.mask_branch is None:
            return found
        maps = self.mask_branch(self.maps_of_found(features, boxes, image_shapes))
        names = torch.cat(labels)
        own = maps[torch.arange(len(names), device=names.device), names - 1].sigmoid()
        split = own.split([len(photo) for photo in labels])
        return [{**photo, "mask_probabilities": masks} for photo, masks in zip(found, split)]


def region_losses(logits: Tensor, deltas: Tensor, labels: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Cross-entropy over all R sampled regions; L1 over the objects among them, each by the deltas of its own class.

    Args:
        logits: (R, C), class 0 is background.
        deltas: (R, 4 C).
        labels: (R,).
        targets: (R, 4), in units of the box weights.
    """
    objects = labels.nonzero().squeeze(1)
    own = deltas.reshape(len(labels), -1, 4)[objects, labels[objects]]
    box_loss = F.l1_loss(own, targets[objects], reduction="sum") / max(len(labels), 1)
    return {"loss_classifier": F.cross_entropy(logits, labels), "loss_box_reg": box_loss}
