"""Where the lines of metrics.jsonl are shown while a run goes on, beside the file: TensorBoard, W&B, MLflow."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from .mlflow_board import MlflowBoard, require_mlflow
from .tensorboard import Board, summary_writer
from .wandb_board import WandbBoard, require_wandb

BoardName = Literal["tensorboard", "wandb", "mlflow"]
_REQUIRE = {"tensorboard": summary_writer, "wandb": require_wandb, "mlflow": require_mlflow}


class Shows(Protocol):
    """Takes lines of metrics.jsonl, each with a step and numbers by their names."""

    def write(self, line: Mapping[str, Any]) -> None: ...

    def close(self) -> None: ...


class Boards:
    """Several boards as one."""

    def __init__(self, boards: Sequence[Shows]):
        self._boards = boards

    def write(self, line: Mapping[str, Any]) -> None:
        """Take in a line of metrics.jsonl."""
        for board in self._boards:
            board.write(line)

    def close(self) -> None:
        """End all of them."""
        for board in self._boards:
            board.close()


def require_boards(names: Sequence[BoardName]) -> None:
    """Raises MissingExtra for a board whose library is not installed."""
    for name in names:
        _REQUIRE[name]()


def open_boards(names: Sequence[BoardName], folder: Path, about: Mapping[str, Any], *, step: int) -> Boards:
    """The boards of a RUN folder.

    Args:
        about: the run's recipe and data, for boards that record them.
        step: of the checkpoint that is continued; TensorBoard hides what was written after it.

    Raises:
        MissingExtra, GoodviewsError: see each board.
    """
    boards: list[Shows] = []
    for name in dict.fromkeys(names):
        if name == "tensorboard":
            boards.append(Board(folder, step=step))
        else:
            boards.append(WandbBoard(folder, about) if name == "wandb" else MlflowBoard(folder, about))
    return Boards(boards)
