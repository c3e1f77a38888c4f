"""The published detectors around an encoder, from torchvision's public parts; `c4.py` and `fpn.py` hold the networks.

`DIFFERENCES` lists what differs from the published ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from ..detection.settings import check_network
from .c4 import c4_detector
from .fpn import fpn_detector

if TYPE_CHECKING:
    from ...hub.preprocessing import Preprocessing
    from ..detection.settings import DetectionSettings

DIFFERENCES = (
    "box predictor has 4 outputs for the background class too (no gradient reaches them)",
    "proposals below 0.001 px and detections below 0.01 px are dropped (detectron2: proposals of width or height 0)",
    "batch norm statistics are measured as the plain mean over batches (detectron2 weights batches by their size)",
    "grouping by aspect ratio acts on the whole batch (published: 8 GPUs with 2 photos each)",
    "photos are read as stored, without EXIF rotation",
)


def build_detector(
    backbone: nn.Module, preprocessing: Preprocessing, classes: int, settings: DetectionSettings
) -> GeneralizedRCNN:
    """A detector around a copy of `backbone`; torch's global generator initialises the new layers.

    In training it takes a list of (3, H, W) photos, RGB 0-1, of their final size, and a list of targets
    {"boxes": (n, 4) float, "labels": (n,) long in 1..classes, with masks also "masks": n of `labelled_photos.Mask`},
    and returns the losses. In evaluation it takes photos and returns {"boxes", "scores", "labels", with masks also
    "mask_probabilities": (n, m, m) in each box} for each.

    Raises:
        UsageError: `backbone` is not a ResNet with stride 16 after its third stage, or the settings contradict each
            other.
    """
    check_network(settings)
    build = fpn_detector if settings.trunk == "fpn" else c4_detector
    return build(backbone, preprocessing, classes, settings).requires_grad_(True)
