"""Training a detector on detectron2, in one process or in several."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from detectron2.solver import build_optimizer
from detectron2.utils.events import EventStorage
from fvcore.nn.precise_bn import update_bn_stats
from torch import nn

from ..datasets.detection_data import DetectionData
from ..datasets.labelled_photos import LabelledPhoto, read_photo
from ..detection.detector import Detections
from ..detection.settings import DetectionSettings
from ..detection.training_loop import Learner, train
from ..evaluation.during_training import shared_scores
from ..processes.start import others_run
from ..training_state import Row
from .configuration import Configuration
from .detector import detect
from .network import build_network, full_configuration
from .samples import Samples


@dataclass(frozen=True)
class Run:
    """What each process must know to train."""

    configuration: Configuration
    settings: DetectionSettings
    data: DetectionData  # the photos to train on are from `trainable_photos`
    seed: int
    workers: int
    evaluate_every: int  # iterations; 0: never
    state: Path | None
    state_every_s: float
    tensorboard: Path | None
    progress: bool


def train_alone(network: nn.Module, run: Run) -> list[Row]:
    """Trains `network` in place, in this process, which may be one of several."""
    samples = Samples(run.data.train, run.data.classes, run.settings, run.seed, run.configuration["INPUT.MASK_FORMAT"])
    learner = Learner(
        network,
        build_optimizer(full_configuration(run.configuration), network),
        lambda start, stop: samples.batches(start, stop, run.workers),
        lambda model, batch: model(batch),
        lambda model, further: update_bn_stats(model, further, run.settings.precise_bn_iterations),
    )
    with EventStorage():  # into which detectron2's parts write
        return train(
            learner,
            run.settings,
            seed=run.seed,
            evaluate=lambda: _evaluate(network, run),
            evaluate_every=run.evaluate_every,
            state=run.state,
            state_every_s=run.state_every_s,
            tensorboard=run.tensorboard,
            progress=run.progress,
        )


def train_together(network: nn.Module, run: Run, processes: int) -> list[Row]:
    """Trains `network` in place, in this process and as many others as make up the number.

    Raises:
        UsageError: so many processes cannot train there.
        GoodviewsError: another process ended.
    """
    device = next(network.parameters()).device
    with others_run(_train_copy, (run,), processes=processes, device=device):
        return train_alone(network, run)


def _train_copy(device: torch.device, run: Run) -> None:
    """In one of the others, which gets the weights of the first one; its GPU is torch's current one."""
    train_alone(build_network(run.configuration), run)


def _evaluate(network: nn.Module, run: Run) -> Row:
    """Scores on the test photos, which the processes share; only the first one gets them."""

    def find(photo: LabelledPhoto) -> Detections:
        return detect(network, run.data.classes, run.settings, read_photo(photo), photo.id)

    return shared_scores(find, run.data, run.settings)
