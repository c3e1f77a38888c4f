"""Training a detector on torchvision in several processes of a machine, each on a GPU of its own or all on the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as processes_of
from torch import nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from ...hub.backbone import rebuild_backbone
from ...hub.preprocessing import Preprocessing
from ..datasets.detection_data import DetectionData
from ..datasets.labelled_photos import read_photo
from ..detection.processes import rank_and_world
from ..detection.settings import DetectionSettings
from ..detection.trained_together import train_copies, train_copy
from ..evaluation.during_training import plain_scores
from ..training_state import Row
from .detector import TorchvisionDetector
from .network import build_detector
from .training import fine_tune


@dataclass(frozen=True)
class Run:
    """What each process must know to train.

    Args:
        architecture, model_args, preprocessing: of the encoder, from which the network is built again.
        device: "cuda" or "cpu".
        evaluate_every: iterations; 0: never.
    """

    architecture: str
    model_args: dict[str, Any]
    preprocessing: Preprocessing
    data: DetectionData
    settings: DetectionSettings
    device: str
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


def train_together(network: nn.Module, run: Run, processes: int) -> list[Row]:
    """Trains copies in so many new processes; the first one's result goes into `network`.

    Raises:
        GoodviewsError: with the message of a process that failed.
    """

    def start(folder: Path) -> None:
        processes_of.spawn(_train_one_of_several, args=(processes, run, folder), nprocs=processes)  # type: ignore

    return train_copies(network, start)


def _train_one_of_several(rank: int, world: int, run: Run, folder: Path) -> None:
    device = torch.device("cuda", rank) if run.device == "cuda" else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=world)
    try:
        backbone = rebuild_backbone(run.architecture, run.model_args)
        network = build_detector(backbone, run.preprocessing, len(run.data.classes), run.settings)
        train_copy(network, folder, lambda: train_alone(network.to(device), run))
    finally:
        dist.destroy_process_group()


def _evaluate(network: GeneralizedRCNN, run: Run) -> Row:
    """Scores on the test photos, which the processes share; only the first one gets them."""
    rank, world = rank_and_world()
    detector = TorchvisionDetector(network, run.data.classes, run.architecture, run.preprocessing, run.settings)
    own = [detector.detect(read_photo(photo), photo.id) for photo in run.data.test[rank::world]]
    shares: list[Any] = [own]
    if world > 1:
        shares = [None] * world
        dist.all_gather_object(shares, own)
    if rank:
        return {}
    by_photo = {one.photo_id: one for share in shares for one in share}
    return plain_scores([by_photo[photo.id] for photo in run.data.test], run.data, run.settings)
