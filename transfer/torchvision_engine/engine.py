"""The torchvision engine: fine-tunes detectors by the settings of a protocol, wherever torchvision runs."""

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch

from ...hub.encoder import Encoder
from ..datasets.detection_data import DetectionData
from ..detection.detector import EngineName
from ..detection.settings import DetectionSettings
from ..processes.environment import require_one_machine
from ..processes.start import check_processes
from ..task import SAVE_EVERY_S
from ..training_state import Row
from .detector import TorchvisionDetector
from .network import DIFFERENCES, build_detector
from .together import Run, train_alone, train_together


@dataclass(frozen=True)
class TorchvisionEngine:
    """Faster and Mask R-CNN from torchvision's parts, as near to the published as they allow; see `differences`."""

    processes: int = 1  # each with a GPU of its own, or all on the CPU
    evaluate_every: int = 0  # iterations after which the detector is scored on the test photos too; 0: never
    name: EngineName = "torchvision"

    def version(self) -> str:
        return f"torchvision {metadata.version('torchvision')}"

    def differences(self, settings: DetectionSettings) -> tuple[str, ...]:
        if self.processes == 1:
            return DIFFERENCES
        each = settings.batch_size // self.processes
        return (
            *(words for words in DIFFERENCES if not words.startswith("grouping by aspect ratio")),
            f"photos are grouped by aspect ratio in {self.processes} x {each} (published: 8 GPUs with 2 photos)",
            "on a CPU batch norm sees the photos of its own process alone",
        )

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
        require_one_machine()
        check_processes(self.processes, encoder.device)
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)  # of the new layers
            network = build_detector(encoder.backbone, encoder.preprocessing, len(data.classes), settings)
        network.to(encoder.device)
        run = Run(
            encoder.architecture,
            encoder.model_args,
            encoder.preprocessing,
            data,
            settings,
            seed,
            workers,
            self.evaluate_every,
            state.with_stem(f"{state.stem}-{self.processes}") if state and self.processes > 1 else state,
            state_every_s,
            tensorboard,
            progress,
        )
        rows = train_alone(network, run) if self.processes == 1 else train_together(network, run, self.processes)
        detector = TorchvisionDetector(
            network, data.classes, encoder.architecture, encoder.preprocessing, settings, encoder.model_args
        )
        return detector, rows
