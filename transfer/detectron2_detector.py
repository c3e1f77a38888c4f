"""A detector that detectron2 trained, as two files, detector.safetensors and detector.json, like torchvision's."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import nn

from ..hub.artifact import load_strictly
from ..hub.atomic import write_bytes, write_json
from ..hub.errors import ArtifactError
from ..hub.images import read_image
from ..hub.preprocessing import Preprocessing
from .detection import Detections, DetectionSettings
from .detectron2_settings import Configuration
from .photo_batches import resized
from .trained_detector import FORMAT, read_about


@dataclass(frozen=True)
class Detectron2Detector:
    """Finds objects in photos, on the device its network is on."""

    network: nn.Module
    classes: tuple[str, ...]
    architecture: str
    preprocessing: Preprocessing
    settings: DetectionSettings
    configuration: Configuration  # what the network was built by

    def detect(self, image: Image.Image | Path | str, photo_id: str = "") -> Detections:
        """What is found in a photo (an RGB image or a file), best first. Boxes and masks are in pixels of that photo.

        Raises:
            DataError: the file cannot be read.
        """
        photo = image if isinstance(image, Image.Image) else read_image(image)
        return find(self.network, self.classes, self.settings, photo, photo_id)

    def save(self, folder: Path) -> Path:
        """Writes the two files into an existing folder."""
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.network.state_dict().items()}
        write_bytes(folder / "detector.safetensors", to_bytes(weights, metadata={"format": "pt"}))
        about = {
            "format": FORMAT,
            "engine": "detectron2",
            "architecture": self.architecture,
            "classes": self.classes,
            "preprocessing": asdict(self.preprocessing),
            "settings": {field.name: getattr(self.settings, field.name) for field in fields(DetectionSettings)},
            "configuration": self.configuration,
        }
        write_json(folder / "detector.json", about)
        return folder


@torch.inference_mode()
def find(
    network: nn.Module, classes: tuple[str, ...], settings: DetectionSettings, photo: Image.Image, photo_id: str = ""
) -> Detections:
    """What `network` finds in an RGB photo; it is left in evaluation."""
    seen = resized(photo, settings.test_short_side_px, settings.long_side_px)
    pixels = torch.as_tensor(np.array(seen)).permute(2, 0, 1)
    [result] = network.eval()([{"image": pixels, "height": photo.height, "width": photo.width}])
    found = result["instances"].to("cpu")
    names = tuple(classes[label] for label in found.pred_classes.tolist())
    masks = None
    if settings.masks:
        from .masks import encode

        masks = tuple(encode(mask) for mask in found.pred_masks.numpy())
    return Detections(photo_id, found.pred_boxes.tensor.numpy(), found.scores.numpy(), names, masks)


def load(folder: Path) -> Detectron2Detector:
    """The detector that a run on detectron2 left in its folder, on the CPU.

    Raises:
        ArtifactError: a file is missing, damaged or not ours.
    """
    from .detectron2_engine import build_network

    about = read_about(folder / "detector.json")
    config: dict[str, Any] = {**about["configuration"], "MODEL.DEVICE": "cpu"}
    network = build_network(config)
    path = folder / "detector.safetensors"
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{path} is missing or damaged ({error}); train the detector again.") from None
    load_strictly(network, weights, source=path)
    preprocessing, settings = Preprocessing(**about["preprocessing"]), DetectionSettings(**about["settings"])
    return Detectron2Detector(
        network.eval(), about["classes"], about["architecture"], preprocessing, settings, about["configuration"]
    )
