"""A training counted in epochs that can be stopped at any moment and continued from the last epoch it kept."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import math
import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ...hub.atomic import write_bytes, write_text
from ...hub.encoder import Encoder
from ...hub.errors import ArtifactError, GoodviewsError
from ..task import Setup

Row = dict[str, float]  # a line of metrics.jsonl
KEEP_EVERY_S = 300.0

log = logging.getLogger(__name__)


class Stateful(Protocol):
    """A module, an optimizer, a `Best`."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any) -> Any: ...


@dataclass
class Best:
    """The epoch that did best so far and what is to be remembered of it; of equal ones the first."""

    value: float = -math.inf
    epoch: int = 0
    kept: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, value: float, epoch: int, kept: Mapping[str, Tensor]) -> None:
        if value > self.value:
            self.value, self.epoch = value, epoch
            self.kept = {name: tensor.detach().clone() for name, tensor in kept.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value, "epoch": self.epoch, "kept": self.kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.value, self.epoch, self.kept = state["value"], state["epoch"], state["kept"]


def train_epochs(
    one_epoch: Callable[[int], Row],
    epochs: int,
    parts: Mapping[str, Stateful],
    *,
    state: Path | None = None,
    keep_every_s: float = KEEP_EVERY_S,
) -> list[Row]:
    """Calls `one_epoch(0)`, `one_epoch(1)`, ...; with a `state` file a training that was stopped goes on from there.

    Args:
        one_epoch: trains for an epoch; returns its row, which holds "loss".
        parts: everything that an epoch changes and the next one needs.
        state: where the parts are kept, at most every `keep_every_s` seconds.

    Returns:
        The rows of all epochs.

    Raises:
        GoodviewsError: a loss is no longer finite.
        ArtifactError: the state file is damaged.
    """
    rows = _continued(state, parts)
    kept_s = time.monotonic()
    for epoch in range(len(rows), epochs):
        row = {"epoch": epoch + 1, **one_epoch(epoch)}
        if not math.isfinite(row["loss"]):
            raise GoodviewsError(
                f"The loss is {row['loss']} after {epoch + 1} epochs: training diverged; "
                "try a smaller rate, e.g. a tenth of it with --set lr=..."
            )
        rows.append(row)
        if (epoch + 1) % max(1, epochs // 20) == 0 or epoch + 1 == epochs:
            fields = (f"{name} {value:.4g}" for name, value in row.items() if name != "epoch")
            log.info("epoch %d/%d  %s", epoch + 1, epochs, "  ".join(fields))
        if state is not None and epoch + 1 < epochs and time.monotonic() - kept_s >= keep_every_s:
            _keep(state, rows, parts)
            kept_s = time.monotonic()
    return rows


def state_file(name: str, encoder: Encoder, settings: Any, dataset: dict[str, Any], setup: Setup) -> Path | None:
    """Where a training of exactly this work keeps its state; None without `setup.cache`."""
    if setup.cache is None:
        return None
    work = [encoder.report_id().to_json(), asdict(encoder.preprocessing), asdict(settings), dataset, setup.seed]
    return setup.cache / f"{name}-{hashlib.sha256(json.dumps(work).encode()).hexdigest()[:16]}.pt"


def write_rows(path: Path, rows: list[Row]) -> None:
    """metrics.jsonl: one object a line."""
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def _keep(path: Path, rows: list[Row], parts: Mapping[str, Stateful]) -> None:
    content = io.BytesIO()
    torch.save({"rows": rows, "parts": {name: part.state_dict() for name, part in parts.items()}}, content)
    write_bytes(path, content.getvalue())


def _continued(path: Path | None, parts: Mapping[str, Stateful]) -> list[Row]:
    if path is None or not path.is_file():
        return []
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(state["parts"][name])
        rows: list[Row] = state["rows"]
    except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise ArtifactError(f"{path} cannot be continued from ({error}); delete it to start the run again.") from None
    log.info("continuing after epoch %d, from %s", len(rows), path)
    return rows
