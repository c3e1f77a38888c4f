"""The lines of metrics.jsonl for TensorBoard as well. Only here is its library imported."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import MissingExtra

FOLDER = "tensorboard"


class Board:
    """Event files in RUN/tensorboard: every number of a line under its name, at its step.

    Args:
        folder: the RUN folder.
        counter: the field of a line that counts: "step", "iteration", "epoch".
        step: of the checkpoint that is continued; what an earlier run wrote from later on is hidden.

    Raises:
        MissingExtra: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, *, counter: str = "step", step: int = 0):
        self._counter = counter
        self._writer = summary_writer()(str(folder / FOLDER), purge_step=step + 1 if step else None)

    def write(self, line: Mapping[str, Any]) -> None:
        """Take in a line of metrics.jsonl."""
        for name, value in line.items():
            if name != self._counter and isinstance(value, int | float) and math.isfinite(value):
                self._writer.add_scalar(name, value, int(line[self._counter]))
        self._writer.flush()

    def close(self) -> None:
        """End the thread that writes."""
        self._writer.close()


def summary_writer() -> Any:
    """The library's class.

    Raises:
        MissingExtra: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtra("tensorboard", extra="log", needed_for="--tensorboard") from None
    return SummaryWriter
