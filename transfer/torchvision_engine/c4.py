"""The C4 detectors: the stages up to layer3 are the trunk; layer4, then one extra batch norm, is what sees a region.

Boxes and masks share that one pass over the regions, as in detectron2's Res5ROIHeads.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from .mask_head import MASK_CHANNELS, MaskPredictor
from .proposals import proposal_network
from .roi_heads import RegionAlign, RegionHeads, init_predictor
from .trunk import STRIDES, NormalizeAndPad, copy_resnet, stage_channels

if TYPE_CHECKING:
    from ...hub.preprocessing import Preprocessing
    from ..detection.settings import DetectionSettings

TRUNK = ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3")
STRIDE = STRIDES[2]  # of the trunk


def c4_detector(
    backbone: nn.Module, preprocessing: Preprocessing, classes: int, settings: DetectionSettings
) -> GeneralizedRCNN:
    """Faster or Mask R-CNN on C4; see `network.build_detector`."""
    net = copy_resnet(backbone)
    _, _, trunk_channels, head_channels = stage_channels(net)
    extra_norm = nn.BatchNorm2d(head_channels)  # what lets one learning rate serve every encoder
    regions = SharedHeads(
        RegionAlign((STRIDE,), settings.roi_px),
        _sequence({"layer4": net.layer4, "norm": extra_norm}),
        init_predictor(MeanPredictor(head_channels, classes + 1)),
        MaskPredictor(head_channels, MASK_CHANNELS, classes) if settings.masks else None,
        settings,
    )
    return GeneralizedRCNN(
        _sequence({name: getattr(net, name) for name in TRUNK}),
        proposal_network(trunk_channels, (settings.anchors_px,), (STRIDE,), settings),
        regions,
        NormalizeAndPad(preprocessing, multiple_of=1),
    )


class MeanPredictor(FastRCNNPredictor):
    """Class and box layers on the mean of a region's map."""

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(maps.mean(dim=(2, 3)))


class SharedHeads(RegionHeads):
    """The mask head sees what the box head computed."""

    def maps_of_objects(
        self,
        features: dict[str, Tensor],
        objects: list[Tensor],
        box_features: Tensor,
        is_object: Tensor,
        image_shapes: list[tuple[int, int]],
    ) -> Tensor:
        return box_features[is_object]

    def maps_of_boxes(
        self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> Tensor:
        return self.box_head(self.box_roi_pool(features, boxes, image_shapes))


def _sequence(modules: Mapping[str, Any]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(modules))
