"""Training a detector on torchvision in several processes of a machine, each on a GPU of its own or all on the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from ...hub.backbone import rebuild_backbone
from ...hub.preprocessing import Preprocessing
from ..datasets.detection_data import DetectionData
from ..datasets.labelled_photos import read_photo
from ..detection.settings import DetectionSettings
from ..evaluation.during_training import shared_scores
from ..processes.start import others_run
from ..training_state import Row
from .detector import TorchvisionDetector
from .network import build_detector
from .training import fine_tune


@dataclass(frozen=True)
class Run:
    """What each process must know to train.

    Args:
        architecture, model_args, preprocessing: of the encoder, from which the network is built again.
        evaluate_every: iterations; 0: never.
    """

    architecture: str
    model_args: dict[str, Any]
    preprocessing: Preprocessing
    data: DetectionData
    settings: DetectionSettings
    seed: int
    workers: int
    evaluate_every: int
    state: Path | None
    state_every_s: float
    tensorboard: Path | None
    progress: bool


def train_alone(network: GeneralizedRCNN, run: Run) -> list[Row]:
    """Trains `network` in place, in this process, which may be one of several."""
    return fine_tune(
        network,
        run.data.train,
        run.data.classes,
        run.settings,
        seed=run.seed,
        evaluate=lambda: _evaluate(network, run),
        evaluate_every=run.evaluate_every,
        state=run.state,
        state_every_s=run.state_every_s,
        workers=run.workers,
        tensorboard=run.tensorboard,
        progress=run.progress,
    )


def train_together(network: GeneralizedRCNN, run: Run, processes: int) -> list[Row]:
    """Trains `network` in place, in this process and as many others as make up the number.

    Raises:
        UsageError: so many processes cannot train there.
        GoodviewsError: another process ended.
    """
    device = next(network.parameters()).device
    with others_run(_train_copy, (run,), processes=processes, device=device):
        return train_alone(network, run)


def _train_copy(device: torch.device, run: Run) -> None:
    """In one of the others, which gets the weights of the first one."""
    backbone = rebuild_backbone(run.architecture, run.model_args)
    train_alone(build_detector(backbone, run.preprocessing, len(run.data.classes), run.settings).to(device), run)


def _evaluate(network: GeneralizedRCNN, run: Run) -> Row:
    """Scores on the test photos, which the processes share; only the first one gets them."""
    detector = TorchvisionDetector(network, run.data.classes, run.architecture, run.preprocessing, run.settings)
    return shared_scores(lambda photo: detector.detect(read_photo(photo), photo.id), run.data, run.settings)
