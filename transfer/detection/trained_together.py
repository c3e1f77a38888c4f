"""Copies of a detector that several processes train: how the weights get there, and the result or the error back.

Both engines start their processes with a launcher of their own; what passes through the folder between them is here.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from torch import nn
from torch.multiprocessing.spawn import ProcessException

from ...hub.errors import GoodviewsError
from ...hub.files.atomic import write_json, write_text
from ..training_state import Row
from .detector_files import read_weights, write_weights
from .processes import rank_and_world

_START, _TRAINED, _ROWS = "start.safetensors", "trained.safetensors", "rows.json"


def train_copies(network: nn.Module, start: Callable[[Path], object]) -> list[Row]:
    """Have `start` train copies in new processes, each by `train_copy`; the first one's result goes into `network`.

    Args:
        start: is given the folder that the processes share, and returns when all have ended.

    Raises:
        GoodviewsError: with the message of a process that failed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_weights(network, folder / _START)
        try:
            start(folder)
        except ProcessException:
            messages = sorted(folder.glob("error*.txt"))
            if not messages:
                raise
            raise GoodviewsError(messages[0].read_text(encoding="utf-8")) from None
        read_weights(network, folder / _TRAINED)
        rows: list[Row] = json.loads((folder / _ROWS).read_text(encoding="utf-8"))
        return rows


def train_copy(network: nn.Module, folder: Path, train: Callable[[], list[Row]]) -> None:
    """In one of the processes: `train` trains `network` from the weights in the folder; the first leaves its result."""
    rank, _ = rank_and_world()
    read_weights(network, folder / _START)
    try:
        rows = train()
    except GoodviewsError as error:
        write_text(folder / f"error{rank}.txt", str(error))
        raise
    if rank == 0:  # batch norm's statistics may differ between processes; these are scored and saved
        write_weights(network, folder / _TRAINED)
        write_json(folder / _ROWS, rows)
