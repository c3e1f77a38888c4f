"""A trained detector as two files, detector.safetensors and detector.json, that find objects again without the data it
learned from.

Each engine writes its own; detector.json names the engine, and `load_detector` reads both.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from ..hub.artifact import load_strictly
from ..hub.atomic import write_bytes, write_json
from ..hub.encoder import build_backbone
from ..hub.errors import ArtifactError
from ..hub.images import read_image
from ..hub.preprocessing import Preprocessing
from .detection import Detections, DetectionSettings, Detector
from .photo_batches import as_tensor, resized
from .torchvision_detector import build_detector
from .torchvision_masks import paste_masks

FORMAT = 1


@dataclass(frozen=True)
class TorchvisionDetector:
    """Finds objects in photos, on the device its network is on."""

    network: GeneralizedRCNN
    classes: tuple[str, ...]
    architecture: str
    preprocessing: Preprocessing
    settings: DetectionSettings

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
        write_bytes(folder / "detector.safetensors", to_bytes(_tensors(self.network), metadata={"format": "pt"}))
        settings = {field.name: getattr(self.settings, field.name) for field in fields(DetectionSettings)}
        about = {
            "format": FORMAT,
            "engine": "torchvision",
            "architecture": self.architecture,
            "classes": self.classes,
            "preprocessing": asdict(self.preprocessing),
            "settings": settings,
        }
        write_json(folder / "detector.json", about)
        return folder


def load_detector(folder: Path | str) -> Detector:
    """The detector that a run of `goodviews transfer` left in its folder, on the CPU, whichever engine trained it.

    Raises:
        ArtifactError: a file is missing, damaged or not ours.
        MissingExtra: detectron2 trained it and is not installed here.
    """
    folder = Path(folder)
    about = read_about(folder / "detector.json")
    if about.get("engine") == "detectron2":
        from .detectron2_engine import load

        return load(folder)
    return _load_torchvision(folder, about)


def _load_torchvision(folder: Path, about: dict[str, Any]) -> TorchvisionDetector:
    preprocessing, settings = Preprocessing(**about["preprocessing"]), DetectionSettings(**about["settings"])
    backbone = build_backbone(about["architecture"])
    network = build_detector(backbone, preprocessing, len(about["classes"]), settings)
    path = folder / "detector.safetensors"
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{path} is missing or damaged ({error}); train the detector again.") from None
    load_strictly(network, weights, source=path)
    return TorchvisionDetector(network.eval(), about["classes"], about["architecture"], preprocessing, settings)


def _tensors(network: GeneralizedRCNN) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}


def read_about(path: Path) -> dict[str, Any]:
    """What detector.json says, with tuples for lists.

    Raises:
        ArtifactError: it is missing, damaged or not ours.
    """
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing; give the folder of a finished detection run.") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ArtifactError(f"{path} is not JSON; the folder is damaged.") from None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ArtifactError(
            f"{path} was not written by this goodviews (format {FORMAT} expected); train the detector again."
        )
    return _with_tuples(about)


def _with_tuples(value: Any) -> Any:
    """JSON has lists where our values have tuples."""
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    return tuple(_with_tuples(item) for item in value) if isinstance(value, list) else value
