"""Training a detector on torchvision: batches, steps, the state of a stopped run, batch norm measured at the end.

A run is a function of weights, photos, settings and seed: what is drawn in an iteration comes from the seed and the
iteration's number alone. So a run that was stopped continues from its state file as if nothing had happened.
"""

import io
import logging
import math
import pickle
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from ..hub.atomic import write_bytes
from ..hub.errors import ArtifactError, GoodviewsError
from .detection import DetectionSettings, Row
from .labelled_photos import LabelledPhoto
from .photo_batches import Sample, batches, trainable

STATE_EVERY_S = 300.0
_BATCH_NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)

log = logging.getLogger(__name__)


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
    photos = trainable(photos)
    optimizer = SGD(parameter_groups(network, settings), lr=settings.lr, momentum=settings.momentum)
    start, rows = _continued(state, network, optimizer)
    window = max(1, min(20, settings.iterations // 20))
    every_s = STATE_EVERY_S if state_every_s is None else state_every_s
    saved_s, meter = time.monotonic(), _Meter(settings.batch_size)
    with _private_randomness(network), _bar(start, settings.iterations, progress) as advance:
        source = batches(photos, classes, settings, seed=seed, start=start, stop=settings.iterations, workers=workers)
        for done, batch in enumerate(source, start + 1):
            _seed_iteration(seed, done)
            meter.add(_step(network, optimizer, batch, settings.learning_rate(done - 1)))
            advance(meter.images_per_s)
            if done % window and done < settings.iterations:
                continue
            rows.append({"iteration": done, **meter.means(), "lr": settings.learning_rate(done - 1)})
            _check(rows[-1])
            _log(rows[-1], settings.iterations)
            if state is not None and time.monotonic() - saved_s >= every_s:
                _save_state(state, rows, network, optimizer)
                saved_s = time.monotonic()
        _measure_batch_norm(network, photos, classes, settings, seed=seed, workers=workers)
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
    source = batches(photos, classes, settings, seed=seed, start=start, stop=stop, workers=workers)
    for number, batch in enumerate(source, start + 1):
        _seed_iteration(seed, number)
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


@contextmanager
def _private_randomness(network: nn.Module) -> Iterator[None]:
    """torch's global generators, from which torchvision samples regions, are left as they were."""
    device = next(network.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def _seed_iteration(seed: int, iteration: int) -> None:
    torch.manual_seed(int(np.random.SeedSequence((seed, 2, iteration)).generate_state(1)[0]))


class _Meter:
    """Mean losses and speed since the last row."""

    def __init__(self, batch_size: int):
        self.batch_size, self.steps, self.began_s = batch_size, 0, time.monotonic()
        self.sums: dict[str, Any] = {}

    @property
    def images_per_s(self) -> float:
        return self.batch_size * self.steps / max(time.monotonic() - self.began_s, 1e-9)

    def add(self, losses: dict[str, Tensor]) -> None:
        self.sums = {name: self.sums.get(name, 0) + loss for name, loss in losses.items()}
        self.steps += 1

    def means(self) -> Row:
        """The row since the last one; the next begins."""
        means = {name: float(value) / self.steps for name, value in self.sums.items()}
        row = {"loss": sum(means.values()), **means, "images_per_s": round(self.images_per_s, 2)}
        self.sums, self.steps, self.began_s = {}, 0, time.monotonic()
        return row


def _check(row: Row) -> None:
    if not math.isfinite(row["loss"]):
        raise GoodviewsError(
            f"The detection loss is {row['loss']} after {row['iteration']:.0f} iterations at rate "
            f"{row['lr']:.3g}: training diverged; try another seed, and check the boxes and the encoder."
        )


def _log(row: Row, iterations: int) -> None:
    """A line for about each twentieth of the run."""
    if row["iteration"] % max(1, iterations // 20) == 0 or row["iteration"] == iterations:
        fields = (row["iteration"], iterations, row["loss"], row["lr"], row["images_per_s"])
        log.info("iteration %d/%d  loss %.3f  lr %.4g  %.1f img/s", *fields)


@contextmanager
def _bar(start: int, stop: int, is_shown: bool) -> Iterator[Any]:
    """A progress line with speed and time left; gives what advances it by an iteration."""
    columns = TextColumn("Fine-tuning"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]:.1f} img/s")
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not is_shown) as bar:
        line = bar.add_task("", total=stop, completed=start, speed=0.0)
        yield lambda speed: bar.update(line, advance=1, speed=speed)


def _save_state(path: Path, rows: list[Row], network: nn.Module, optimizer: Optimizer) -> None:
    content = io.BytesIO()
    torch.save({"rows": rows, "network": network.state_dict(), "optimizer": optimizer.state_dict()}, content)
    write_bytes(path, content.getvalue())


def _continued(path: Path | None, network: nn.Module, optimizer: Optimizer) -> tuple[int, list[Row]]:
    """Where to start, and the rows up to there."""
    if path is None or not path.is_file():
        return 0, []
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise ArtifactError(f"{path} cannot be continued from ({error}); delete it to start the run again.") from None
    done = int(state["rows"][-1]["iteration"])
    log.info("continuing after iteration %d, from %s", done, path)
    return done, state["rows"]
