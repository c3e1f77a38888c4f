"""A run's figures: at each interval a line in the log, in metrics.jsonl and for TensorBoard, and the progress bar."""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...hub.errors import GoodviewsError
from ...hub.files.atomic import write_text
from ...hub.output.boards import Shows

log = logging.getLogger(__name__)

FILE = "metrics.jsonl"


@dataclass(frozen=True)
class Progress:
    """The newest figures, for a progress bar; `data_wait` is the share of time spent waiting for images, 0-1."""

    step: int
    steps: int
    epoch: int
    loss: float
    images_per_s: float
    data_wait: float
    knn_top1: float | None


class Monitor:
    """Averages losses over an interval and writes them down; the sums are part of the checkpoint.

    Args:
        folder: where metrics.jsonl goes; None in all processes but the first.
        steps: of the whole run.
        reduce: mean of a tensor over the processes.
        signals: further figures for a line of the first process, from the step and the epochs done.
        check: raises if the last step's loss is NaN or infinite, before means are taken.
        board: gets the lines too.
        observe: called after each line with the newest figures.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        steps: int,
        reduce: Callable[[Tensor], Tensor],
        signals: Callable[[int, float], Mapping[str, float]] = lambda step, epoch: {},
        check: Callable[[], None] = lambda: None,
        board: Shows | None = None,
        observe: Callable[[Progress], None] = lambda progress: None,
    ):
        self.folder, self.steps, self.reduce, self.observe = folder, steps, reduce, observe
        self.signals, self.check, self.board = signals, check, board
        self.every = max(1, min(50, steps // 200))
        self.knn_top1: float | None = None
        self.last: dict[str, float] = {}  # losses and signals of the newest line
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        self._seconds_before = 0.0
        self._started = self._line_started = time.perf_counter()
        self._images, self._wait_s = 0, 0.0

    def record(
        self, step: int, epoch: float, values: Mapping[str, Tensor], *, lr: float, images: int, wait_s: float
    ) -> None:
        """Add one step; writes a line at the end of an interval and of the run.

        Raises:
            GoodviewsError: a loss is NaN or infinite.
        """
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0) + value.detach().double()
        self._count += 1
        self._images += images
        self._wait_s += wait_s
        if step % self.every == 0 or step == self.steps:
            self._line(step, epoch, lr)

    def knn(self, step: int, epoch: float, top1: float) -> None:
        """Write down an online kNN score, in percent."""
        self.knn_top1 = top1
        log.info("step %d/%d  knn %.2f %%", step, self.steps, top1)
        self._write({"step": step, "epoch": round(epoch, 4), "knn_top1": round(top1, 3)})
        self.restart_clock()

    def lines(self) -> list[dict[str, Any]]:
        """What metrics.jsonl holds so far, by the first process."""
        path = None if self.folder is None else self.folder / FILE
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path and path.is_file() else []

    def compare_with_start(self) -> None:
        """Warn where the run ends with a worse online kNN than before its first step."""
        scores = [line["knn_top1"] for line in self.lines() if "knn_top1" in line and line["step"] == 0]
        if scores and self.knn_top1 is not None and round(self.knn_top1, 3) < scores[0]:  # as it is written down
            log.warning(
                "the encoder ends below its start: online kNN %.1f %%, and %.1f %% before the first step. More photos "
                "or epochs may help, or a recipe for as many as there are: goodviews recipes",
                self.knn_top1,
                scores[0],
            )

    def restart_clock(self) -> None:
        """Leave what was no training, and the images since the last line, out of the speed."""
        self._line_started = time.perf_counter()
        self._images, self._wait_s = 0, 0.0

    def require_finite(self, step: int) -> dict[str, float]:
        """Means since the last line, over all processes.

        Raises:
            GoodviewsError: one of them is NaN or infinite.
        """
        self.check()
        if not self._count:
            return {}
        means = self.reduce(torch.stack([*self._sums.values()]) / self._count).tolist()
        named = dict(zip(self._sums, means))
        bad = [name for name, value in named.items() if not math.isfinite(value)]
        if bad:
            raise GoodviewsError(
                f"Training stopped at step {step}: {bad[0]} is {named[bad[0]]} within the last {self._count} steps. "
                "Lower optimizer.lr or use --precision fp32; the last checkpoint, if any, is from before."
            )
        return named

    def state(self) -> dict[str, Any]:
        """For the checkpoint, so that the next line averages over the same steps as in an unbroken run."""
        sums = {name: value.item() for name, value in self._sums.items()}
        newest = {"knn_top1": self.knn_top1, "last": self.last}
        return {"sums": sums, "count": self._count, "seconds": self._seconds(), **newest}

    def restore(self, state: Mapping[str, Any] | None, step: int, device: torch.device) -> None:
        """Go on from `state()`, or from nothing; lines of metrics.jsonl from after the checkpoint are taken out."""
        if self.folder is not None:
            truncate(self.folder / FILE, step if state is not None else -1)
        if state is None:
            return
        self._sums = {
            name: torch.tensor(value, dtype=torch.float64, device=device) for name, value in state["sums"].items()
        }
        self._count, self._seconds_before, self.knn_top1 = state["count"], state["seconds"], state["knn_top1"]
        self.last = state.get("last", {})

    def _line(self, step: int, epoch: float, lr: float) -> None:
        means = self.require_finite(step)
        now = time.perf_counter()
        seconds = max(now - self._line_started, 1e-9)
        speed, wait = self._images / seconds, min(1.0, self._wait_s / seconds)
        signals = self.signals(step, epoch) if self.folder is not None else {}
        self.last = {**means, **signals}
        figures = "  ".join(f"{name} {value:.4g}" for name, value in self.last.items())
        left = timedelta(seconds=round((self.steps - step) * seconds / max(1, self._count)))
        rates = f"lr {lr:.3g}  {speed:.0f} img/s  wait {100 * wait:.0f} %  left {left}"
        log.info("step %d/%d  %s  %s", step, self.steps, figures, rates)
        self._write(
            {"step": step, "epoch": round(epoch, 4), **self.last, "lr": lr}
            | {"images_per_s": round(speed, 1), "data_wait": round(wait, 4), "time_s": round(self._seconds(), 2)}
        )
        self.observe(Progress(step, self.steps, int(epoch), means.get("loss", 0.0), speed, wait, self.knn_top1))
        self._sums, self._count, self._images, self._wait_s = {}, 0, 0, 0.0
        self._line_started = now

    def _write(self, line: Mapping[str, Any]) -> None:
        if self.folder is None:
            return
        with (self.folder / FILE).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        if self.board is not None:
            self.board.write(line)

    def _seconds(self) -> float:
        return self._seconds_before + time.perf_counter() - self._started


def truncate(path: Path, step: int) -> None:
    """Keep the lines of metrics.jsonl up to `step`."""
    if not path.exists():
        return
    lines = []
    for line in path.read_text("utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                lines.append(line + "\n")
        except json.JSONDecodeError:
            break  # the line that was being written when the run was killed
    write_text(path, "".join(lines))
