"""Training a detector on torchvision: steps, rows, the state of a stopped run, batch norm measured at the end."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from ..hub.errors import UsageError
from .detection import DetectionSettings, Row
from .labelled_photos import LabelledPhoto
from .photo_batches import Sample, batches, trainable
from .training_run import (
    STATE_EVERY_S,
    Meter,
    check_loss,
    continued,
    distributed,
    log_row,
    over_processes,
    private_randomness,
    progress_bar,
    rank_and_world,
    save_state,
    seed_iteration,
    window_of,
)

_BATCH_NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)


def fine_tune(
    network: nn.Module,
    photos: Sequence[LabelledPhoto],
    classes: Sequence[str],
    settings: DetectionSettings,
    *,
    seed: int,
    state: Path | None = None,
    state_every_s: float | None = None,
    workers: int = 0,
    progress: bool = False,
) -> list[Row]:
    """Trains `network` in place, on the device it is on, then measures its batch norm statistics anew.

    In a process group of torch.distributed each process trains on its share of every batch and all end with the same
    weights; batch norm sees the photos of all processes on GPUs, and those of its own process on the CPU.

    Args:
        network: from `build_detector`.
        photos: those without an object that can be trained on are left out, as detectron2 does; a crowd cannot.
        classes: label k is `classes[k - 1]`.
        seed: of the order of photos, their sizes and flips, and the sampling of regions.
        state: where a long run keeps what it needs to continue; a state that lies there is continued. None: nothing is
            kept.
        state_every_s: seconds between two writings of `state`; None: `STATE_EVERY_S`.
        workers: processes that read photos.
        progress: show a bar.

    Returns:
        About a hundred rows: iteration (how many were done), losses (means since the last row), lr, images_per_s.

    Raises:
        GoodviewsError: a loss is no longer finite.
        DataError: a photo is damaged.
    """
    rank, world = rank_and_world()
    photos = trainable(photos)
    model = _together(network, settings, world)
    optimizer = SGD(parameter_groups(network, settings), lr=settings.lr, momentum=settings.momentum)
    start, rows = continued(state, network, optimizer)
    window = window_of(settings.iterations)
    every_s = STATE_EVERY_S if state_every_s is None else state_every_s
    saved_s, meter = time.monotonic(), Meter(settings.batch_size)
    with private_randomness(network), progress_bar(start, settings.iterations, progress and rank == 0) as advance:
        source = _batches(photos, classes, settings, seed, start, settings.iterations, workers)
        for done, batch in enumerate(source, start + 1):
            seed_iteration(seed, done, rank)
            meter.add(_step(model, optimizer, batch, settings.learning_rate(done - 1)))
            advance(meter.images_per_s)
            if done % window and done < settings.iterations:
                continue
            means = over_processes(meter.means(), network)
            rows.append({"iteration": done, **means, "lr": settings.learning_rate(done - 1)})
            check_loss(rows[-1])
            if rank == 0:
                log_row(rows[-1], settings.iterations)
            if rank == 0 and state is not None and time.monotonic() - saved_s >= every_s:
                save_state(state, rows, network, optimizer)
                saved_s = time.monotonic()
        _measure_batch_norm(model, photos, classes, settings, seed=seed, workers=workers)
    return rows


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


def _together(network: nn.Module, settings: DetectionSettings, world: int) -> nn.Module:
    """What the processes train, with shared batch norm where PyTorch has it."""
    if settings.batch_size % world:
        raise UsageError(f"A batch of {settings.batch_size} photos cannot be shared by {world} processes.")
    if world > 1 and next(network.parameters()).device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return distributed(network, world)


def _batches(
    photos: Sequence[LabelledPhoto],
    classes: Sequence[str],
    settings: DetectionSettings,
    seed: int,
    start: int,
    stop: int,
    workers: int,
) -> Iterator[list[Sample]]:
    """Those of this process."""
    rank, world = rank_and_world()
    share = {"rank": rank, "world": world}
    return batches(photos, classes, settings, seed=seed, start=start, stop=stop, workers=workers, **share)


def _step(network: nn.Module, optimizer: Optimizer, batch: list[Sample], rate: float) -> dict[str, Tensor]:
    for group in optimizer.param_groups:
        group["lr"] = rate
    losses = network.train()(*_on_device(batch, network))
    optimizer.zero_grad()
    torch.stack(list(losses.values())).sum().backward()
    optimizer.step()
    return {name: loss.detach() for name, loss in losses.items()}


@torch.no_grad()
def _measure_batch_norm(
    network: nn.Module,
    photos: Sequence[LabelledPhoto],
    classes: Sequence[str],
    settings: DetectionSettings,
    *,
    seed: int,
    workers: int,
) -> None:
    """Replaces the running statistics, which lag behind the weights, by their means over further training batches.

    Source: Wu & Johnson 2021, "Rethinking 'Batch' in BatchNorm" (arXiv:2105.07576), section 3.
    """
    if not settings.precise_bn_iterations:
        return
    layers = [layer for layer in network.modules() if isinstance(layer, _BATCH_NORMS)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # PyTorch's sign for a cumulative mean
    start, stop = settings.iterations, settings.iterations + settings.precise_bn_iterations
    rank, _ = rank_and_world()
    for number, batch in enumerate(_batches(photos, classes, settings, seed, start, stop, workers), start + 1):
        seed_iteration(seed, number, rank)
        network.train()(*_on_device(batch, network))
    for layer, momentum in zip(layers, momenta):
        layer.momentum = momentum


def _on_device(batch: list[Sample], network: nn.Module) -> tuple[list[Tensor], list[dict[str, Any]]]:
    """Masks stay where they are: they are polygons."""
    device = next(network.parameters()).device
    targets = [
        {name: value.to(device) if isinstance(value, Tensor) else value for name, value in target.items()}
        for _, target in batch
    ]
    return [photo.to(device) for photo, _ in batch], targets
