"""Mask R-CNN on a feature pyramid, in the two detectors that COCO tables quote.

- InfoMin's (PyContrast): four convolutions and one linear layer see a region, with batch norm in the box and the mask
  head; supervised pretraining scores 39.7 box AP by the 1x schedule.
- The standard one, of MoCo's numbers: two linear layers, no norm in the heads; supervised 38.9.

Both have batch norm in the trunk and in the pyramid. Their numbers must not be mixed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads

from .mask_head import MASK_CHANNELS, MaskPredictor
from .proposals import proposal_network
from .roi_heads import RegionAlign, RegionHeads, init_predictor
from .trunk import STRIDES, NormalizeAndPad, copy_resnet, stage_channels

if TYPE_CHECKING:
    from ...hub.preprocessing import Preprocessing
    from ..detection.settings import DetectionSettings

CHANNELS = 256  # of every level of the pyramid, and of the convolutions on regions
HIDDEN = 1024  # of the linear layers on regions
CONVOLUTIONS = 4
LEVELS = {"layer1": "p2", "layer2": "p3", "layer3": "p4", "layer4": "p5"}
COARSEST = 64  # stride of p6, every second pixel of p5, where only proposals are made


def fpn_detector(
    backbone: nn.Module, preprocessing: Preprocessing, classes: int, settings: DetectionSettings
) -> GeneralizedRCNN:
    """Faster or Mask R-CNN on a pyramid; see `network.build_detector`."""
    net = copy_resnet(backbone)
    trunk = BackboneWithFPN(net, LEVELS, list(stage_channels(net)), CHANNELS, norm_layer=nn.BatchNorm2d)
    regions = PyramidHeads(
        RegionAlign(STRIDES, settings.roi_px),
        _box_head(settings),
        init_predictor(FastRCNNPredictor(HIDDEN, classes + 1)),
        _mask_head(classes, settings) if settings.masks else None,
        settings,
    )
    return GeneralizedRCNN(
        trunk,
        proposal_network(CHANNELS, [(size,) for size in settings.anchors_px], (*STRIDES, COARSEST), settings),
        regions,
        NormalizeAndPad(preprocessing, multiple_of=STRIDES[-1]),
    )


class PyramidHeads(RegionHeads):
    """The mask head looks at the pyramid itself."""

    def __init__(
        self,
        align: RegionAlign,
        head: nn.Module,
        predictor: FastRCNNPredictor,
        mask_branch: nn.Module | None,
        settings: DetectionSettings,
    ):
        super().__init__(align, head, predictor, mask_branch, settings)
        self.mask_align = RegionAlign(STRIDES, settings.mask_roi_px)

    def maps_of_objects(
        self,
        features: dict[str, Tensor],
        objects: list[Tensor],
        box_features: Tensor,
        is_object: Tensor,
        image_shapes: list[tuple[int, int]],
    ) -> Tensor:
        return self.mask_align(features, objects, image_shapes)

    def maps_of_boxes(
        self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> Tensor:
        return self.mask_align(features, boxes, image_shapes)


def _box_head(settings: DetectionSettings) -> nn.Module:
    """Linear layers are initialised as published; torchvision initialises the convolutions so itself."""
    if settings.box_head == "4conv1fc":
        size = (CHANNELS, settings.roi_px, settings.roi_px)
        head: nn.Module = FastRCNNConvFCHead(size, [CHANNELS] * CONVOLUTIONS, [HIDDEN], _norm(settings))
    else:
        head = TwoMLPHead(CHANNELS * settings.roi_px**2, HIDDEN)
    for layer in head.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, a=1)
            nn.init.zeros_(layer.bias)
    return head


def _mask_head(classes: int, settings: DetectionSettings) -> nn.Module:
    convolutions = MaskRCNNHeads(CHANNELS, [MASK_CHANNELS] * CONVOLUTIONS, 1, norm_layer=_norm(settings))
    return nn.Sequential(convolutions, MaskPredictor(MASK_CHANNELS, MASK_CHANNELS, classes))


def _norm(settings: DetectionSettings) -> type[nn.Module] | None:
    return nn.BatchNorm2d if settings.head_norm else None
