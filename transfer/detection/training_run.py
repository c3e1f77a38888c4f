"""What training a detector needs beside its steps, in either engine: rows, a progress line, state, randomness.

A run is a function of weights, photos, settings and seed: what is drawn in an iteration comes from the seed and the
iteration's number alone. So a run that was stopped continues from its state as if nothing had happened.
"""

import io
import logging
import math
import pickle
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from ...hub.atomic import write_bytes
from ...hub.errors import ArtifactError, GoodviewsError
from .settings import Row

log = logging.getLogger(__name__)


def rank_and_world() -> tuple[int, int]:
    """Which process this is, of how many."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def over_processes(row: Row, network: nn.Module) -> Row:
    """Means of what each process has in its row."""
    _, world = rank_and_world()
    if world == 1:
        return row
    values = torch.tensor(list(row.values()), dtype=torch.float64, device=next(network.parameters()).device)
    dist.all_reduce(values)
    return dict(zip(row, (values / world).tolist()))


def distributed(network: nn.Module, world: int) -> nn.Module:
    """What `world` processes train with shared gradients: `network` itself where there is one."""
    if world == 1:
        return network
    device = next(network.parameters()).device
    device_ids = [device.index] if device.type == "cuda" else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`broadcast_buffers`", FutureWarning)  # its successor is too new
        return DistributedDataParallel(network, device_ids=device_ids, broadcast_buffers=False)


class Meter:
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


def window_of(iterations: int) -> int:
    """How many iterations make a row."""
    return max(1, min(20, iterations // 20))


def check_loss(row: Row) -> None:
    """Raises GoodviewsError where the loss is no longer finite."""
    if not math.isfinite(row["loss"]):
        raise diverged(f"loss is {row['loss']}", row["iteration"], row["lr"])


def diverged(what: str, iteration: float, rate: float) -> GoodviewsError:
    """The error of a run that cannot go on."""
    return GoodviewsError(
        f"The detection {what} after {iteration:.0f} iterations at rate {rate:.3g}: training diverged; "
        "try another seed, and check the boxes and the encoder."
    )


def log_row(row: Row, iterations: int) -> None:
    """A line for about each twentieth of the run."""
    if row["iteration"] % max(1, iterations // 20) == 0 or row["iteration"] == iterations:
        fields = (row["iteration"], iterations, row["loss"], row["lr"], row["images_per_s"])
        log.info("iteration %d/%d  loss %.3f  lr %.4g  %.1f img/s", *fields)


@contextmanager
def progress_bar(start: int, stop: int, is_shown: bool) -> Iterator[Any]:
    """A line with speed and time left; gives what advances it by an iteration."""
    columns = TextColumn("Fine-tuning"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]:.1f} img/s")
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not is_shown) as bar:
        line = bar.add_task("", total=stop, completed=start, speed=0.0)
        yield lambda speed: bar.update(line, advance=1, speed=speed)


def save_state(path: Path, rows: list[Row], network: nn.Module, optimizer: Optimizer) -> None:
    """Replaces the file in one move."""
    content = io.BytesIO()
    torch.save({"rows": rows, "network": network.state_dict(), "optimizer": optimizer.state_dict()}, content)
    write_bytes(path, content.getvalue())


def continued(path: Path | None, network: nn.Module, optimizer: Optimizer) -> tuple[int, list[Row]]:
    """Where to start, and the rows up to there.

    Raises:
        ArtifactError: the file is damaged or not of this run.
    """
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


@contextmanager
def private_randomness(network: nn.Module) -> Iterator[None]:
    """torch's global generators, from which engines sample regions, are left as they were."""
    device = next(network.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def seed_iteration(seed: int, iteration: int, rank: int = 0) -> None:
    """Everything that torch draws in an iteration from here on."""
    entropy = (seed, 2, iteration, rank) if rank else (seed, 2, iteration)
    torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
