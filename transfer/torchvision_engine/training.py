"""Training a detector on torchvision: what this engine gives to `training_loop.train`."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD

from ...hub.errors import UsageError
from ..datasets.photo_table import PhotoTable
from ..detection.photo_batches import Sample, batches, trainable_photos
from ..detection.settings import DetectionSettings
from ..detection.training_loop import Learner, train
from ..processes.sharing import rank_and_world
from ..task import SAVE_EVERY_S
from ..training_state import Row

_BATCH_NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)


def fine_tune(
    network: nn.Module,
    photos: PhotoTable,
    classes: Sequence[str],
    settings: DetectionSettings,
    *,
    seed: int,
    evaluate: Callable[[], Row] | None = None,
    evaluate_every: int = 0,
    state: Path | None = None,
    state_every_s: float = SAVE_EVERY_S,
    workers: int = 0,
    tensorboard: Path | None = None,
    progress: bool = False,
) -> list[Row]:
    """Trains `network` in place, on the device it is on, then measures its batch norm statistics anew.

    In a process group of torch.distributed each process trains on its share of every batch and all end with the same
    weights; batch norm sees the photos of all processes on GPUs, and those of its own process on the CPU.

    Args:
        network: From `build_detector`.
        photos: Those without an object to learn from are left out, as in detectron2; a crowd is none.
        classes: Label k is `classes[k - 1]`.
        settings: The schedule, and the sizes and flips of photos.
        seed: Of the order of photos, their sizes and flips, and the sampling of regions.
        evaluate: See `training_loop.train`.
        evaluate_every: See there.
        state: See there.
        state_every_s: See there.
        workers: Processes that read photos.
        tensorboard: See there.
        progress: Show a bar.

    Returns:
        The rows of `training_loop.train`.

    Raises:
        GoodviewsError: a loss is no longer finite.
        UsageError: the processes cannot share a batch.
        DataError: a photo is damaged.
    """
    photos = trainable_photos(photos)
    rank, world = rank_and_world()
    _share_batch_norm(network, settings, world)
    learner = Learner(
        network,
        SGD(parameter_groups(network, settings), lr=settings.lr, momentum=settings.momentum),
        lambda start, stop: batches(
            photos,
            classes,
            settings,
            seed=seed,
            start=start,
            stop=stop,
            workers=workers,
            rank=rank,
            world=world,
        ),
        lambda model, batch: model(*_on_device(batch, model)),
        _measure_batch_norm,
    )
    return train(
        learner,
        settings,
        seed=seed,
        evaluate=evaluate,
        evaluate_every=evaluate_every,
        state=state,
        state_every_s=state_every_s,
        tensorboard=tensorboard,
        progress=progress,
    )


def parameter_groups(network: nn.Module, settings: DetectionSettings) -> list[dict[str, Any]]:
    """Everything but the norm layers decays, biases included."""
    norms = {
        id(value) for layer in network.modules() if isinstance(layer, _BATCH_NORMS) for value in layer.parameters()
    }
    values = list(network.parameters())
    return [
        {"params": [value for value in values if id(value) not in norms], "weight_decay": settings.weight_decay},
        {"params": [value for value in values if id(value) in norms], "weight_decay": 0.0},
    ]


def _share_batch_norm(network: nn.Module, settings: DetectionSettings, world: int) -> None:
    """Lets batch norm see the photos of all processes, where PyTorch can: on GPUs."""
    if settings.batch_size % world:
        raise UsageError(f"A batch of {settings.batch_size} photos cannot be shared by {world} processes.")
    if world > 1 and next(network.parameters()).device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)


@torch.no_grad()
def _measure_batch_norm(network: nn.Module, further: Iterator[list[Sample]]) -> None:
    """Running statistics become plain means over the batches."""
    layers = [layer for layer in network.modules() if isinstance(layer, _BATCH_NORMS)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # PyTorch then takes a cumulative mean
    for batch in further:
        network(*_on_device(batch, network))
    for layer, momentum in zip(layers, momenta):
        layer.momentum = momentum


def _on_device(batch: list[Sample], network: nn.Module) -> tuple[list[Tensor], list[dict[str, Any]]]:
    """The batch on the network's device, but for masks, which are polygons."""
    device = next(network.parameters()).device
    targets = [
        {name: value.to(device) if isinstance(value, Tensor) else value for name, value in target.items()}
        for _, target in batch
    ]
    return [photo.to(device) for photo, _ in batch], targets
