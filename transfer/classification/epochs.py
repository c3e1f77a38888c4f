"""A training counted in epochs that can be stopped at any moment and continues from the last epoch it saved."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ...hub.encoder import Encoder
from ...hub.errors import GoodviewsError
from ..processes.sharing import rank_and_world, value_of_first
from ..task import SAVE_EVERY_S, Setup
from ..training_state import Row, Stateful, TrainingState, show_rows, state_path

log = logging.getLogger(__name__)


@dataclass
class Best:
    """The best epoch so far with copies of its tensors; of equal ones the first."""

    value: float = -math.inf
    epoch: int = 0
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, value: float, epoch: int, tensors: Mapping[str, Tensor]) -> None:
        if value > self.value:
            self.value, self.epoch = value, epoch
            self.tensors = {name: tensor.detach().clone() for name, tensor in tensors.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value, "epoch": self.epoch, "kept": self.tensors}  # "kept": the word of earlier files

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.value, self.epoch, self.tensors = state["value"], state["epoch"], state["kept"]


def train_epochs(
    one_epoch: Callable[[int], Row],
    epochs: int,
    parts: Mapping[str, Stateful],
    *,
    state: Path | None = None,
    save_every_s: float = SAVE_EVERY_S,
    tensorboard: Path | None = None,
    is_shared: bool = False,
) -> list[Row]:
    """Calls `one_epoch(0)`, `one_epoch(1)`, ...; with a `state` file a training that was stopped continues from there.

    Args:
        one_epoch: Trains for an epoch; returns its row, which holds "loss".
        epochs: How many there are.
        parts: Everything that an epoch changes and the next one needs.
        state: The file that the parts are saved to, after the last epoch in any case.
        save_every_s: Seconds between two saves, at least.
        tensorboard: The folder in which the rows are written for TensorBoard; None: they are not.
        is_shared: Every process of a group trains; the first one reads and writes the state for all, and speaks.

    Returns:
        The rows of all epochs.

    Raises:
        GoodviewsError: a loss is no longer finite.
        ArtifactError: the state file is damaged.
    """
    saved = TrainingState(state, parts, save_every_s)
    rows = saved.apply(value_of_first(saved.read)) if is_shared else saved.restore()
    is_first = not is_shared or rank_and_world()[0] == 0
    if rows and is_first:
        log.info("continuing after epoch %d, from %s", len(rows), state)
    with show_rows(tensorboard, rows, "epoch") as show:
        for epoch in range(len(rows), epochs):
            rows.append({"epoch": epoch + 1, **one_epoch(epoch)})
            _check_loss(rows[-1])
            if not is_first:
                continue
            _log_row(rows[-1], epochs)
            show(rows[-1])
            saved.save_if_due(rows) if epoch + 1 < epochs else saved.save(rows)
    return rows


def _check_loss(row: Row) -> None:
    if not math.isfinite(row["loss"]):
        raise GoodviewsError(
            f"The loss is {row['loss']} after {row['epoch']} epochs: training diverged; "
            "try a smaller learning rate, e.g. a tenth of it with --set lr=..."
        )


def _log_row(row: Row, epochs: int) -> None:
    """A line for about each twentieth of the training."""
    if row["epoch"] % max(1, epochs // 20) == 0 or row["epoch"] == epochs:
        fields = (f"{name} {value:.4g}" for name, value in row.items() if name != "epoch")
        log.info("epoch %d/%d  %s", row["epoch"], epochs, "  ".join(fields))


def state_file(name: str, encoder: Encoder, settings: Any, dataset: dict[str, Any], setup: Setup) -> Path | None:
    """The file for the state of a training of exactly this work; None without `setup.cache`."""
    work = [encoder.report_id().report_json(), asdict(encoder.preprocessing), asdict(settings), dataset, setup.seed]
    work += [] if setup.precision == "fp32" else [setup.precision]
    return state_path(setup.cache, name, work, must_exist=setup.resume is True)
