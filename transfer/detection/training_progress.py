"""What the training of a detector tells: rows of mean losses and speed, log lines, a bar, and where it diverges."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import TextColumn
from torch import Tensor

from ...hub.errors import GoodviewsError
from ...hub.output.terminal import progress_bar
from ..training_state import Row

log = logging.getLogger(__name__)


class Meter:
    """Mean losses and speed since the last row."""

    def __init__(self, batch_size: int):
        self.batch_size, self.steps, self.start_s = batch_size, 0, time.monotonic()
        self.sums: dict[str, Any] = {}

    @property
    def images_per_s(self) -> float:
        return self.batch_size * self.steps / max(time.monotonic() - self.start_s, 1e-9)

    def add(self, losses: dict[str, Tensor]) -> None:
        self.sums = {name: self.sums.get(name, 0) + loss for name, loss in losses.items()}
        self.steps += 1

    def take_row(self) -> Row:
        """The means since the last row; counting starts again."""
        means = {name: float(value) / self.steps for name, value in self.sums.items()}
        row = {"loss": sum(means.values()), **means, "images_per_s": round(self.images_per_s, 2)}
        self.sums, self.steps = {}, 0
        self.restart_clock()
        return row

    def restart_clock(self) -> None:
        """Leaves the time until now out of the speed."""
        self.start_s = time.monotonic()


def iterations_per_row(iterations: int) -> int:
    """How many of a run's iterations make a row."""
    return max(1, min(20, iterations // 20))


def check_loss(row: Row) -> None:
    """Raises GoodviewsError where the loss is no longer finite."""
    if not math.isfinite(row["loss"]):
        raise divergence(f"loss is {row['loss']}", row["iteration"], row["lr"])


def divergence(what: str, iteration: float, rate: float) -> GoodviewsError:
    """The error of a training that cannot go on."""
    return GoodviewsError(
        f"The detection {what} after {iteration:.0f} iterations at learning rate {rate:.3g}: training diverged; "
        "try another seed, and check the boxes and the encoder."
    )


def log_row(row: Row, iterations: int) -> None:
    """A line for about each twentieth of the run."""
    if row["iteration"] % max(1, iterations // 20) == 0 or row["iteration"] == iterations:
        fields = (row["iteration"], iterations, row["loss"], row["lr"], row["images_per_s"])
        log.info("iteration %d/%d  loss %.3f  lr %.4g  %.1f img/s", *fields)


@contextmanager
def training_bar(start: int, stop: int, is_shown: bool) -> Iterator[Callable[[float], None]]:
    """A line with speed and time left; gives a function that advances it by an iteration, at a speed in images/s."""
    with progress_bar(TextColumn("Fine-tuning {task.fields[speed]:.1f} img/s"), is_shown=is_shown) as bar:
        line = bar.add_task("", total=stop, completed=start, speed=0.0)
        yield lambda speed: bar.update(line, advance=1, speed=speed)
