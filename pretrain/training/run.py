"""A run in memory. How it starts is in `prepare`, what it does in `loop`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from ...hub.sources.source import Data
from ..data.decoded_cache import Keep
from ..data.loader import ViewLoader
from ..models.across_processes import Processes
from ..objective import Networks
from ..recipe import Recipe
from .checkpoint import RunState
from .finite_loss import FiniteWatch
from .monitor import Monitor
from .online_knn import OnlineKnn
from .precision import Device, Precision


@dataclass(frozen=True)
class Request:
    """What was asked for; `goodviews.pretrain.training.loop.pretrain` says what each part means."""

    recipe: Recipe
    data: Path | str
    out: Path
    seed: int
    workers: int
    device: Device
    precision: Precision
    resume: bool
    overwrite: bool
    save_every: int | None
    keep: Keep
    keep_px: int | None
    tensorboard: bool
    accumulate: int
    compile: bool
    continue_from: Path | None
    keep_training: bool


@dataclass
class Run:
    """A run in memory: what was asked for, and the parts that work on it."""

    request: Request
    parent: str | None
    images: Data
    dataset: dict[str, Any]
    accelerator: Accelerator
    loader: ViewLoader
    processes: Processes
    networks: Networks
    optimizer: torch.optim.Optimizer
    state: RunState
    monitor: Monitor
    finite: FiniteWatch
    gauge: tuple[OnlineKnn, int] | None = None
    saved_at: float = 0.0
    has_reported_activations: bool = False

    @property
    def recipe(self) -> Recipe:
        return self.request.recipe

    @property
    def out(self) -> Path:
        return self.request.out

    @property
    def seed(self) -> int:
        return self.request.seed

    @property
    def steps_per_epoch(self) -> int:
        """Steps of the optimiser; the loader gives `accumulate` batches for each."""
        return self.loader.steps_per_epoch // self.request.accumulate

    @property
    def steps(self) -> int:
        return self.recipe.epochs * self.steps_per_epoch

    @property
    def epoch(self) -> float:
        """Epochs done, with the share of the one under way."""
        return self.state.step / self.steps_per_epoch
