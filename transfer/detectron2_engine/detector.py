"""A detector that detectron2 trained; it finds objects again without the data it learned from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from PIL import Image
from torch import nn

from ...hub.files.json_files import Place
from ...hub.images import read_image
from ...hub.preprocessing import Preprocessing
from ..detection.detector import Detections
from ..detection.detector_files import ABOUT, About, read_about, read_detector, write_detector
from ..detection.photo_batches import resize
from ..detection.settings import DetectionSettings
from .configuration import Configuration, check_configuration
from .network import build_network


@dataclass(frozen=True)
class Detectron2Detector:
    """Finds objects in photos, on the device its network is on."""

    network: nn.Module
    classes: tuple[str, ...]
    architecture: str
    preprocessing: Preprocessing
    settings: DetectionSettings
    configuration: Configuration  # what the network is built from

    def to(self, device: str) -> Self:
        """See `detection.detector.Detector`."""
        self.network.to(device)
        return self

    def detect(self, image: Image.Image | Path | str, photo_id: str = "") -> Detections:
        """See `detection.detector.Detector`."""
        values = self.preprocessing.values
        photo = image if isinstance(image, Image.Image) else read_image(image, values=values)
        return detect(self.network, self.classes, self.settings, photo, photo_id)

    def save(self, folder: Path) -> Path:
        """Writes the two files into an existing folder."""
        about = About(
            "detectron2",
            self.architecture,
            self.classes,
            self.preprocessing,
            self.settings,
            configuration=self.configuration,
        )
        return write_detector(folder, self.network, about)


@torch.inference_mode()
def detect(
    network: nn.Module, classes: tuple[str, ...], settings: DetectionSettings, photo: Image.Image, photo_id: str = ""
) -> Detections:
    """What `network` finds in an RGB photo; it stays in evaluation mode."""
    resized = resize(photo, settings.test_short_side_px, settings.long_side_px)
    pixels = torch.as_tensor(np.array(resized)).permute(2, 0, 1)
    [result] = network.eval()([{"image": pixels, "height": photo.height, "width": photo.width}])
    instances = result["instances"].to("cpu")
    names = tuple(classes[label] for label in instances.pred_classes.tolist())
    masks = None
    if settings.masks:
        from ..datasets.masks import encode

        masks = tuple(encode(mask) for mask in instances.pred_masks.numpy())
    return Detections(photo_id, instances.pred_boxes.tensor.numpy(), instances.scores.numpy(), names, masks)


def load(folder: Path) -> Detectron2Detector:
    """The detector that a run on detectron2 left in its folder, on the CPU.

    Raises:
        ArtifactError: a file is missing, damaged or not ours.
    """
    about = read_about(folder)
    assert about.configuration is not None, "detectron2's detectors are saved with it"
    place = Place(folder / ABOUT, "train the detector again with this goodviews")
    check_configuration(
        about.configuration, about.settings, about.preprocessing, classes=len(about.classes), place=place
    )
    network = build_network({**about.configuration, "MODEL.DEVICE": "cpu"})
    read_detector(folder, network)
    return Detectron2Detector(
        network.eval(), about.classes, about.architecture, about.preprocessing, about.settings, about.configuration
    )
