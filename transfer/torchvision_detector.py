"""Faster R-CNN whose trunk is the encoder (C4), from torchvision's public parts.

The stages up to layer3 are the trunk; layer4, followed by one extra batch norm, is what looks at a region. Where
torchvision's parts compute something else than the published detector, the subclasses here restore it; `DIFFERENCES`
lists what remains.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from timm.models.resnet import ResNet
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign, roi_align

from ..hub.errors import UsageError

if TYPE_CHECKING:
    from ..hub.preprocessing import Preprocessing
    from .detection import DetectionSettings

TRUNK = ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3")
STRIDE = 16  # of the trunk

DIFFERENCES = (
    "box predictor has 4 outputs for the background class too (no gradient reaches them)",
    "proposals below 0.001 px and detections below 0.01 px are dropped (detectron2: proposals of width or height 0)",
    "batch norm statistics are measured as the plain mean over batches (detectron2 weights batches by their size)",
    "grouping by aspect ratio acts on the whole batch (published: 8 GPUs with 2 photos each)",
    "photos are read as stored, without EXIF rotation",
)


def c4_detector(
    backbone: nn.Module, preprocessing: Preprocessing, classes: int, settings: DetectionSettings
) -> GeneralizedRCNN:
    """A detector around a copy of `backbone`; new layers are drawn from torch's global generator.

    In training it takes a list of (3, H, W) photos, RGB 0-1, of the size they are to be seen at, and a list of targets
    {"boxes": (n, 4) float, "labels": (n,) long in 1..classes}, and returns the four losses; in evaluation it takes
        photos and returns {"boxes", "scores",
    "labels"} for each.

    Raises:
        UsageError: `backbone` is not a ResNet with stride 16 after its third stage.
    """
    net = copy.deepcopy(_checked(backbone))
    trunk_channels, head_channels = (int(net.feature_info[stage]["num_chs"]) for stage in (3, 4))  # type: ignore
    trunk = _sequence({name: getattr(net, name) for name in TRUNK})
    extra_norm = nn.BatchNorm2d(head_channels)  # what lets one learning rate serve every encoder
    region_head = _sequence(
        {"layer4": net.layer4, "norm": extra_norm, "pool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten()}
    )
    detector = GeneralizedRCNN(
        trunk,
        _proposal_network(trunk_channels, settings),
        _region_network(region_head, _predictor(head_channels, classes), settings),
        _AsGiven(0, 0, list(preprocessing.mean), list(preprocessing.std), size_divisible=1),
    )
    return detector.requires_grad_(True)


def _checked(backbone: nn.Module) -> ResNet:
    name = getattr(backbone, "pretrained_cfg", {}).get("architecture", type(backbone).__name__)
    if not isinstance(backbone, ResNet):
        raise UsageError(f"Detection is defined for ResNet encoders, such as resnet18 or resnet50; this one is {name}.")
    if backbone.feature_info[3]["reduction"] != STRIDE or isinstance(backbone.maxpool, nn.Identity):
        raise UsageError(
            f"Detection needs an encoder with stride {STRIDE} after its third stage; {name} as built here has another."
        )
    return backbone


def _sequence(modules: Mapping[str, Any]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(modules))


def _predictor(channels: int, classes: int) -> FastRCNNPredictor:
    predictor = FastRCNNPredictor(channels, classes + 1)
    nn.init.normal_(predictor.cls_score.weight, std=0.01)
    nn.init.normal_(predictor.bbox_pred.weight, std=0.001)
    nn.init.zeros_(predictor.cls_score.bias)
    nn.init.zeros_(predictor.bbox_pred.bias)
    return predictor


def _proposal_network(channels: int, settings: DetectionSettings) -> RegionProposalNetwork:
    anchors = _ExactAnchors((settings.anchors_px,), (settings.anchor_ratios,))
    return _L1Proposals(
        anchors,
        RPNHead(channels, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=settings.rpn_samples,
        positive_fraction=0.5,
        pre_nms_top_n=dict(zip(("training", "testing"), settings.proposals_before_nms)),
        post_nms_top_n=dict(zip(("training", "testing"), settings.proposals)),
        nms_thresh=0.7,
    )


def _region_network(head: nn.Module, predictor: FastRCNNPredictor, settings: DetectionSettings) -> RoIHeads:
    return _L1Regions(
        _HalfPixelRoIAlign(["0"], output_size=settings.roi_px, sampling_ratio=0),
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


class _AsGiven(GeneralizedRCNNTransform):
    """Normalises and pads; photos come at the size they are to be seen at, resized by Pillow and antialiased."""

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        return image, target


class _ExactAnchors(AnchorGenerator):
    """Anchors not rounded to pixels, on the trunk's true grid also where a side is no multiple of 16."""

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
        return super().grid_anchors(grid_sizes, [[torch.full_like(side, STRIDE) for side in pair] for pair in strides])


class _HalfPixelRoIAlign(MultiScaleRoIAlign):
    """RoIAlign with the half-pixel correction and adaptive sampling; torchvision's own lacks the first."""

    def forward(self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        return roi_align(features["0"], boxes, self.output_size, 1 / STRIDE, self.sampling_ratio, aligned=True)


class _L1Proposals(RegionProposalNetwork):
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


class _L1Regions(RoIHeads):
    """Classification and boxes of regions; boxes learn from plain L1, the sum divided by the regions sampled."""

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        if self.training:
            proposals, _, labels, box_targets = self.select_training_samples(proposals, targets)
        logits, deltas = self.box_predictor(self.box_head(self.box_roi_pool(features, proposals, image_shapes)))
        if self.training:
            return [], _region_losses(logits, deltas, torch.cat(labels), torch.cat(box_targets))
        found = zip(*self.postprocess_detections(logits, deltas, proposals, image_shapes))
        return [{"boxes": boxes, "scores": scores, "labels": names} for boxes, scores, names in found], {}


def _region_losses(logits: Tensor, deltas: Tensor, labels: Tensor, targets: Tensor) -> dict[str, Tensor]:
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
