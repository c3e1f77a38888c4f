"""A trained detector of torchvision, and `load_detector` for that of either engine: it finds objects again without
the data it learned from.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from ...hub.backbone import rebuild_backbone
from ...hub.images import read_image
from ...hub.preprocessing import Preprocessing
from ..torchvision_engine.masks import paste_masks
from ..torchvision_engine.network import build_detector
from .detector_files import About, read_about, read_detector, write_detector
from .photo_batches import as_tensor, resized
from .settings import Detections, DetectionSettings, Detector


@dataclass(frozen=True)
class TorchvisionDetector:
    """Finds objects in photos, on the device its network is on."""

    network: GeneralizedRCNN
    classes: tuple[str, ...]
    architecture: str
    preprocessing: Preprocessing
    settings: DetectionSettings
    model_args: dict[str, Any] = field(default_factory=dict)

    @torch.inference_mode()
    def detect(self, image: Image.Image | Path | str, photo_id: str = "") -> Detections:
        """What is found in a photo (an RGB image or a file), best first. Boxes and masks are in pixels of that photo.

        Raises:
            DataError: the file cannot be read.
        """
        photo = image if isinstance(image, Image.Image) else read_image(image)
        seen = resized(photo, self.settings.test_short_side_px, self.settings.long_side_px)
        device = next(self.network.parameters()).device
        found = self.network.eval()([as_tensor(seen).to(device)])[0]
        scale = np.array([photo.width / seen.width, photo.height / seen.height] * 2)
        boxes = found["boxes"].cpu().numpy() * scale
        names = tuple(self.classes[label - 1] for label in found["labels"].tolist())
        masks = None
        if self.settings.masks:
            masks = paste_masks(found["mask_probabilities"], boxes, photo.height, photo.width)
        return Detections(photo_id, boxes, found["scores"].cpu().numpy(), names, masks)

    def save(self, folder: Path) -> Path:
        """Writes the two files into an existing folder."""
        about = About(
            "torchvision", self.architecture, self.classes, self.preprocessing, self.settings, self.model_args or None
        )
        return write_detector(folder, self.network, about)


def load_detector(folder: Path | str) -> Detector:
    """The detector that a run of `goodviews transfer` left in its folder, on the CPU, whichever engine trained it.

    Raises:
        ArtifactError: a file is missing, damaged or not ours.
        MissingExtra: detectron2 trained it and is not installed here.
    """
    folder = Path(folder)
    about = read_about(folder)
    if about.engine == "detectron2":
        from ..detectron2_engine.detector import load

        return load(folder)
    given = about.model_args or {}
    backbone = rebuild_backbone(about.architecture, given)
    network = build_detector(backbone, about.preprocessing, len(about.classes), about.settings)
    read_detector(folder, network)
    return TorchvisionDetector(
        network.eval(), about.classes, about.architecture, about.preprocessing, about.settings, given
    )
