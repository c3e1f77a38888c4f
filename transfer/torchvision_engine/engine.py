"""The torchvision engine: fine-tunes detectors by the settings of a protocol, wherever torchvision runs."""

from importlib import metadata
from pathlib import Path

import torch

from ...hub.encoder import Encoder
from ..datasets.labelled_photos import DetectionData
from ..detection.detector import EngineName
from ..detection.settings import DetectionSettings
from ..task import SAVE_EVERY_S
from ..training_state import Row
from .detector import TorchvisionDetector
from .network import DIFFERENCES, build_detector
from .training import fine_tune


class TorchvisionEngine:
    """Faster and Mask R-CNN from torchvision's parts, as near to the published as they allow; see `differences`."""

    name: EngineName = "torchvision"

    def version(self) -> str:
        return f"torchvision {metadata.version('torchvision')}"

    def differences(self, settings: DetectionSettings) -> tuple[str, ...]:
        return DIFFERENCES

    def fine_tune(
        self,
        encoder: Encoder,
        data: DetectionData,
        settings: DetectionSettings,
        *,
        seed: int,
        state: Path | None = None,
        state_every_s: float = SAVE_EVERY_S,
        workers: int = 0,
        tensorboard: Path | None = None,
        progress: bool = False,
    ) -> tuple[TorchvisionDetector, list[Row]]:
        """See `detection.detector.Engine`."""
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)  # of the new layers
            network = build_detector(encoder.backbone, encoder.preprocessing, len(data.classes), settings)
        network.to(encoder.device)
        rows = fine_tune(
            network,
            data.train,
            data.classes,
            settings,
            seed=seed,
            state=state,
            state_every_s=state_every_s,
            workers=workers,
            tensorboard=tensorboard,
            progress=progress,
        )
        detector = TorchvisionDetector(
            network, data.classes, encoder.architecture, encoder.preprocessing, settings, encoder.model_args
        )
        return detector, rows
