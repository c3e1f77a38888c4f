"""A loss that is NaN or infinite stops the run at its step; its batch is saved for whoever looks into it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...hub.errors import GoodviewsError
from ..data.loader import Batch

NAME = "bad_batch"


@dataclass
class _Watched:
    step: int
    loss: Tensor
    batches: Sequence[Batch]
    values: Tensor  # (2,) on the CPU: this process's loss, and how many processes have a finite one
    ready: torch.cuda.Event | None


class FiniteWatch:
    """Looks at each step's loss one step later, so that a GPU is never waited for in between.

    Args:
        folder: the RUN folder.
        rank, world: this process's place; all stop at the same step, each with a bad loss saves its own batch.
        total: sum of a tensor over the processes.
    """

    def __init__(self, folder: Path, *, rank: int = 0, world: int = 1, total: Callable[[Tensor], Tensor]):
        self.folder, self.rank, self.world, self.total = folder, rank, world, total
        self._last: _Watched | None = None

    def look(self, step: int, loss: Tensor, batches: Sequence[Batch]) -> None:
        """Take in the step just done and look at the one before.

        Raises:
            GoodviewsError: that one's loss was NaN or infinite.
        """
        before, loss = self._last, loss.detach()
        good = self.total(loss.isfinite().float())
        both = torch.stack([loss.float(), good])
        if both.device.type == "cuda":
            values = torch.empty(2, pin_memory=True)
            values.copy_(both, non_blocking=True)
            ready = torch.cuda.Event()
            ready.record()
        else:
            values, ready = both, None
        self._last = _Watched(step, loss, batches, values, ready)
        self._look_at(before)

    def check(self) -> None:
        """Look at the last step too, before anything is made of it.

        Raises:
            GoodviewsError: its loss was NaN or infinite.
        """
        self._look_at(self._last)

    def _look_at(self, watched: _Watched | None) -> None:
        if watched is None:
            return
        if watched.ready is not None:
            watched.ready.synchronize()
        loss, good = watched.values.tolist()
        if good == self.world:
            return
        own = not math.isfinite(loss)
        found = f"loss is {loss}; {self._save(watched)}" if own else "another process's loss is NaN or infinite"
        raise GoodviewsError(
            f"Training stopped at step {watched.step}: {found}. "
            "Lower optimizer.lr or use --precision fp32; the last checkpoint, if any, is from before."
        )

    def _save(self, watched: _Watched) -> str:
        """Write FOLDER/bad_batch.pt (step, loss, samples' positions in the data, views as the network saw them).

        Returns what to say of it.
        """
        name = NAME if self.world == 1 else f"{NAME}_{self.rank}"
        path = self.folder / f"{name}.pt"
        names, samples = watched.batches[0].views, torch.cat([batch.samples for batch in watched.batches])
        views = {name: torch.cat([batch.views[name] for batch in watched.batches]).cpu() for name in names}
        try:
            torch.save({"step": watched.step, "loss": float(watched.loss), "samples": samples, "views": views}, path)
        except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into the latter
            path.unlink(missing_ok=True)
            return f"its batch could not be saved in {path} ({error})"
        return f"its batch is saved in {path}"
