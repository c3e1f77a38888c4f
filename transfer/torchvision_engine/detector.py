"""A detector that torchvision trained; it finds objects again without the data it learned from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from ...hub.backbone import rebuild_backbone
from ...hub.images import read_image
from ...hub.preprocessing import Preprocessing
from ..detection.detector import Detections
from ..detection.detector_files import About, read_about, read_detector, write_detector
from ..detection.photo_batches import resize, to_tensor
from ..detection.settings import DetectionSettings
from .mask_head import paste_masks
from .network import build_detector


@dataclass(frozen=True)
class TorchvisionDetector:
    """Finds objects in photos, on the device its network is on."""

    network: GeneralizedRCNN
    classes: tuple[str, ...]
    architecture: str
    preprocessing: Preprocessing
    settings: DetectionSettings
    model_args: dict[str, Any] = field(default_factory=dict)  # what timm builds the backbone by, beside its name

    def to(self, device: str) -> Self:
        """See `detection.detector.Detector`."""
        self.network.to(device)
        return self

    @torch.inference_mode()
    def detect(self, image: Image.Image | Path | str, photo_id: str = "") -> Detections:
        """See `detection.detector.Detector`."""
        values = self.preprocessing.values
        photo = image if isinstance(image, Image.Image) else read_image(image, values=values)
        resized = resize(photo, self.settings.test_short_side_px, self.settings.long_side_px)
        device = next(self.network.parameters()).device
        result = self.network.eval()([to_tensor(resized).to(device)])[0]
        boxes = result["boxes"].cpu().numpy() * np.array(
            [photo.width / resized.width, photo.height / resized.height] * 2
        )
        names = tuple(self.classes[label - 1] for label in result["labels"].tolist())
        masks = None
        if self.settings.masks:
            masks = paste_masks(result["mask_probabilities"], boxes, photo.height, photo.width)
        return Detections(photo_id, boxes, result["scores"].cpu().numpy(), names, masks)

    def save(self, folder: Path) -> Path:
        """Writes the two files into an existing folder."""
        about = About(
            "torchvision", self.architecture, self.classes, self.preprocessing, self.settings, self.model_args or None
        )
        return write_detector(folder, self.network, about)


def load(folder: Path) -> TorchvisionDetector:
    """The detector that a run on torchvision left in its folder, on the CPU.

    Raises:
        ArtifactError: a file is missing, damaged or not ours.
    """
    about = read_about(folder)
    model_args = about.model_args or {}
    backbone = rebuild_backbone(about.architecture, model_args)
    network = build_detector(backbone, about.preprocessing, len(about.classes), about.settings)
    read_detector(folder, network)
    return TorchvisionDetector(
        network.eval(), about.classes, about.architecture, about.preprocessing, about.settings, model_args
    )
