"""A queue of the newest keys: momentum contrast's negatives, and what SwAV shares out beside a small batch."""

import logging
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .memory import Context, Memory, Part, State, Update

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Queue:
    """The last `size` keys; keep it well below the number of images, or an image meets its own old keys.

    parts: keys side by side in a row, of methods that make several of an image.
    from_epoch: the objective is given it from this epoch (counted from 0) on; it is filled from the start.
    """

    size: int = 65536
    parts: int = 1
    from_epoch: int = 0

    def build(self, context: Context) -> "KeyQueue":
        return KeyQueue(
            self.size,
            context.dim,
            parts=self.parts,
            from_epoch=self.from_epoch,
            seed=context.seed,
            device=context.device,
        )


@dataclass(frozen=True)
class QueueRows:
    """What the queue tells an objective: its rows (K, D), unit rows; of `parts` keys side by side (K, parts * D)."""

    rows: Tensor


class KeyQueue(Memory):
    """The last K keys, oldest overwritten first; K need not be a multiple of the batch.

    A row holds one key of `dim` numbers or, of methods that make several of an image, `parts` of them side by side.
    Starts as random unit rows, as published. Equal in all processes, since it is drawn from the seed and every process
    enqueues the gathered keys.

    Source: He et al. 2020 (arXiv:1911.05722), section 3.1; HobbitLong/PyContrast, memory/mem_moco.py.
    """

    def __init__(
        self,
        size: int,
        dim: int,
        *,
        parts: int = 1,
        from_epoch: int = 0,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ):
        rows = torch.randn(size, dim * parts, generator=torch.Generator().manual_seed(seed))
        self.rows = F.normalize(rows.unflatten(1, (parts, dim)), dim=2).flatten(1).to(device)
        self.pointer, self.from_epoch = 0, from_epoch

    def known(self, part: Part) -> QueueRows | None:
        return QueueRows(self.rows) if part.epoch >= self.from_epoch else None

    def after_update(self, update: Update) -> None:
        if update.keys is not None:
            self.enqueue(update.keys)

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Write (B, D) keys at the pointer, wrapping round; of more keys than rows only the last K stay."""
        places = (torch.arange(len(keys), device=self.rows.device) + self.pointer) % len(self.rows)
        self.pointer = (self.pointer + len(keys)) % len(self.rows)
        newest = slice(max(0, len(keys) - len(self.rows)), None)
        self.rows[places[newest]] = keys[newest].to(self.rows)

    def state(self) -> State:
        return {"rows": self.rows, "pointer": self.pointer}

    def restore(self, state: State) -> None:
        self.rows.copy_(state["rows"])
        self.pointer = state["pointer"]

    def inherit(self, state: State | None) -> None:
        if state is None or state["rows"].shape != self.rows.shape:
            log.info("the queue of the earlier run is of another size; this one starts anew")
        else:
            self.restore(state)
