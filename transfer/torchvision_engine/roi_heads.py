"""The RoI heads: RoIAlign, then classes, boxes and masks of regions, with losses and inference as detectron2 has them.

Each network's subclass says which maps its mask head sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import roi_align

from .mask_head import mask_loss, mask_targets

if TYPE_CHECKING:
    from ..detection.settings import DetectionSettings

CANONICAL_PX, CANONICAL_STRIDE = 224, 16  # a region of this size is seen at this stride


class RegionHeads(RoIHeads):
    """Classes and boxes of regions and, where there is a mask head, their masks.

    Boxes learn from plain L1, the sum divided by the regions sampled.

    Args:
        align: Features and boxes -> (R, C, h, w).
        head: What sees that.
        predictor: What the head gives -> logits and deltas.
        mask_branch: (n, C, h, w) -> (n, classes, m, m) logits; None: no masks.
        settings: Of the protocol.
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
        return self._detect(features, proposals, image_shapes), {}

    def maps_of_objects(
        self,
        features: dict[str, Tensor],
        objects: list[Tensor],
        box_features: Tensor,
        is_object: Tensor,
        image_shapes: list[tuple[int, int]],
    ) -> Tensor:
        """What the mask head learns from: the maps of the regions that hold an object.

        Args:
            features: Of the trunk.
            objects: The boxes of these regions, photo by photo.
            box_features: What the box head gave for all R regions.
            is_object: (R,) bool.
            image_shapes: Of the photos.
        """
        raise NotImplementedError

    def maps_of_boxes(
        self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> Tensor:
        """What the mask head sees of detected boxes."""
        raise NotImplementedError

    def _losses(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Any]],
    ) -> dict[str, Tensor]:
        regions, matches, labels, box_targets = self.select_training_samples(proposals, targets)
        box_features = self.box_head(self.box_roi_pool(features, regions, image_shapes))
        logits, deltas = self.box_predictor(box_features)
        losses = region_losses(logits, deltas, torch.cat(labels), torch.cat(box_targets))
        if self.mask_branch is None:
            return losses
        is_object = [names > 0 for names in labels]
        objects = [boxes[chosen] for boxes, chosen in zip(regions, is_object)]
        everywhere = torch.cat(is_object)
        masks = self.mask_branch(self.maps_of_objects(features, objects, box_features, everywhere, image_shapes))
        truth = [
            mask_targets([target["masks"][index] for index in which[chosen].tolist()], boxes, masks.shape[-1])
            for target, which, chosen, boxes in zip(targets, matches, is_object, objects)
        ]
        return {**losses, "loss_mask": mask_loss(masks, torch.cat(labels)[everywhere], torch.cat(truth))}

    def _detect(
        self, features: dict[str, Tensor], proposals: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> list[dict[str, Tensor]]:
        logits, deltas = self.box_predictor(self.box_head(self.box_roi_pool(features, proposals, image_shapes)))
        boxes, scores, labels = self.postprocess_detections(logits, deltas, proposals, image_shapes)
        detections = [dict(zip(("boxes", "scores", "labels"), photo)) for photo in zip(boxes, scores, labels)]
        if self.mask_branch is None:
            return detections
        masks = self.mask_branch(self.maps_of_boxes(features, boxes, image_shapes))
        names = torch.cat(labels)
        own = masks[torch.arange(len(names), device=names.device), names - 1].sigmoid()
        by_photo = own.split([len(photo) for photo in labels])
        return [{**photo, "mask_probabilities": some} for photo, some in zip(detections, by_photo)]


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
            return self._align(maps[0], regions, self.strides[0])
        levels = self.levels(regions[:, 1:])
        aligned = maps[0].new_zeros(len(regions), maps[0].shape[1], self.output_px, self.output_px)
        for level, (one, stride) in enumerate(zip(maps, self.strides)):
            here = torch.where(levels == level)[0]
            aligned = aligned.index_put((here,), self._align(one, regions[here], stride))
        return aligned

    def levels(self, boxes: Tensor) -> Tensor:
        """The number of the map on which each box is seen."""
        sides = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt()
        shift = torch.log2(sides / CANONICAL_PX + 1e-8).floor().long()
        return (self.strides.index(CANONICAL_STRIDE) + shift).clamp(0, len(self.strides) - 1)

    def _align(self, one: Tensor, regions: Tensor, stride: int) -> Tensor:
        return roi_align(one, regions, self.output_px, 1 / stride, sampling_ratio=0, aligned=True)


def init_predictor(predictor: FastRCNNPredictor) -> FastRCNNPredictor:
    """The layers of classes and boxes, their weights drawn as published."""
    nn.init.normal_(predictor.cls_score.weight, std=0.01)
    nn.init.normal_(predictor.bbox_pred.weight, std=0.001)
    nn.init.zeros_(predictor.cls_score.bias)
    nn.init.zeros_(predictor.bbox_pred.bias)
    return predictor
