"""The detectron2 engine: fine-tunes the published detectors on the library they were published with.

The configuration is made from the task (`configuration`), every weight of the encoder is placed (`load_encoder`),
photos come in the order and with the changes that the torchvision engine sees, and the same code scores both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..datasets.detection_data import DetectionData
from ..datasets.photo_table import RUNS
from ..detection.detector import EngineName
from ..detection.photo_batches import trainable_photos
from ..detection.settings import DetectionSettings
from ..processes.environment import require_one_machine
from ..processes.start import check_processes
from ..task import SAVE_EVERY_S
from ..training_state import Row
from .detector import Detectron2Detector
from .network import VERSION, build_detector
from .training import Run, train_alone, train_together

if TYPE_CHECKING:
    from ...hub.encoder import Encoder

_DIFFERENCES = (
    "photos are read as stored, without EXIF rotation",
    "batch norm is SyncBN, as in the files of MoCo's, InfoMin's and CLSA's papers; MoCo's files have naiveSyncBN since "
    "November 2020, noting a larger variance with SyncBN",
)


@dataclass(frozen=True)
class Detectron2Engine:
    """Faster and Mask R-CNN as published, trained by one process or several."""

    processes: int = 1  # each with a GPU of its own, or all on the CPU
    evaluate_every: int = 0  # iterations after which the detector is scored on the test photos too; 0: never
    name: EngineName = "detectron2"

    def version(self) -> str:
        return f"detectron2 {VERSION} (torch {torch.__version__})"

    def differences(self, settings: DetectionSettings) -> tuple[str, ...]:
        each = settings.batch_size // self.processes
        grouping = f"photos are grouped by aspect ratio in {self.processes} x {each} (published: 8 GPUs with 2 photos)"
        is_as_published = (self.processes, each) == (8, 2)
        return (*([] if is_as_published else [grouping]), *_DIFFERENCES)

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
    ) -> tuple[Detectron2Detector, list[Row]]:
        """See `detection.detector.Engine`."""
        require_one_machine()
        check_processes(self.processes, encoder.device)
        data = replace(data, train=trainable_photos(data.train))
        network, config = build_detector(
            encoder,
            len(data.classes),
            settings,
            seed=seed,
            processes=self.processes,
            has_bitmasks=bool((data.train.mask_kinds == RUNS).any()),
        )
        file = state.with_stem(f"{state.stem}-{self.processes}") if state else None
        run = Run(
            config, settings, data, seed, workers, self.evaluate_every, file, state_every_s, tensorboard, progress
        )
        rows = train_alone(network, run) if self.processes == 1 else train_together(network, run, self.processes)
        return (
            Detectron2Detector(network, data.classes, encoder.architecture, encoder.preprocessing, settings, config),
            rows,
        )
