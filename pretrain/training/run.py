"""A run in memory. How it starts is in `prepare`, what it does in `loop`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator

from ...hub.encoder import Encoder
from ...hub.preprocessing import Preprocessing
from ...hub.sources.source import Data
from ..data.loader import ViewLoader
from ..models.across_processes import Processes
from ..objective import Networks, Step
from ..options import Options
from ..recipe import Recipe
from .checkpoint import RunState
from .finite_loss import FiniteWatch
from .monitor import Monitor
from .online_knn import OnlineKnn
from .resume import Identity


@dataclass
class Run:
    """What was asked for, and the parts that work on it.

    identity: what must be the same for the run to be resumed.
    preprocessing: of the encoder that is published.
    networks, optimizer: as objectives see the networks, and as accelerate drives the optimiser.
    objective: the recipe's, compiled where that is wanted.
    state: all that changes.
    gauge: the online kNN and after how many epochs it is asked.
    licence: of the weights.
    earlier_epochs: the lengths that the run had before it was lengthened.
    start: the encoder of --init.
    """

    recipe: Recipe
    out: Path
    options: Options
    identity: Identity
    preprocessing: Preprocessing
    images: Data
    accelerator: Accelerator
    processes: Processes
    loader: ViewLoader
    networks: Networks
    objective: Callable[..., Step]
    optimizer: torch.optim.Optimizer
    state: RunState
    monitor: Monitor
    finite: FiniteWatch
    gauge: tuple[OnlineKnn, int] | None = None
    saved_at: float = 0.0
    has_reported_activations: bool = False
    licence: str | None = None
    earlier_epochs: Sequence[int] = ()
    start: Encoder | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Steps of the optimiser; the loader gives `accumulate` batches for each."""
        return self.loader.steps_per_epoch // self.options.accumulate

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.recipe.epochs * self.steps_per_epoch

    @property
    def epoch(self) -> float:
        """Epochs done, with the share of the one under way."""
        return self.state.step / self.steps_per_epoch
