"""How a stopped training continues: a file with its state, saved now and then, and the rows of metrics.jsonl so far."""

import hashlib
import io
import json
import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..hub.errors import ArtifactError, UsageError
from ..hub.files.atomic import write_bytes, write_text
from ..hub.files.sealed_files import load_sealed, save_sealed
from .task import SAVE_EVERY_S

Row = dict[str, float]  # a line of metrics.jsonl
_NOT_IN_EARLIER_FILES = {"images"}


class Stateful(Protocol):
    """A module, an optimizer, the best epoch so far."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any) -> Any: ...


@dataclass
class TrainingState:
    """The parts of a training, and the file that they are saved to, replaced in one step each time."""

    path: Path | None  # None: nothing is saved
    parts: Mapping[str, Stateful]  # everything that training changes and needs to continue
    every_s: float = SAVE_EVERY_S  # seconds between two saves, at least
    _saved_s: float = field(default_factory=time.monotonic)

    def restore(self) -> list[Row]:
        """Puts the saved state into the parts and returns the rows so far; without a file, nothing and none.

        Raises:
            ArtifactError: the file is damaged or of another training.
        """
        return self.apply(self.read())

    def read(self) -> Any:
        """What the file holds, on the CPU; None without a file.

        Raises:
            ArtifactError: it is damaged.
        """
        if self.path is None or not self.path.is_file():
            return None
        try:
            return load_sealed(self.path, map_location="cpu")
        except ArtifactError:
            raise self._refusal("it is damaged") from None
        except (RuntimeError, EOFError, pickle.UnpicklingError):  # torch's text would advise to load it unsafely
            raise self._refusal("it is damaged") from None

    def apply(self, content: Any) -> list[Row]:
        """Puts what was read into the parts and returns its rows.

        Raises:
            ArtifactError: it is of another training.
        """
        if content is None:
            return []
        try:
            saved = content.get("parts", content)  # detectors' files had the parts beside the rows until 0.1
            for name, part in self.parts.items():
                if name in saved or name not in _NOT_IN_EARLIER_FILES:
                    part.load_state_dict(saved[name])
            rows: list[Row] = content["rows"]
        except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise self._refusal(f"it is of another training: {str(error).splitlines()[0]}") from None
        return rows

    def _refusal(self, reason: str) -> ArtifactError:
        return ArtifactError(f"{self.path} cannot be continued from ({reason}); delete it to start the run again.")

    def save_if_due(self, rows: list[Row]) -> None:
        """Saves where `every_s` have passed since the last time."""
        if time.monotonic() - self._saved_s >= self.every_s:
            self.save(rows)

    def save(self, rows: list[Row]) -> None:
        """Saves now: what comes after the last row may be stopped too, and then starts from here."""
        if self.path is None:
            return
        content = io.BytesIO()
        save_sealed({"rows": rows, "parts": {name: part.state_dict() for name, part in self.parts.items()}}, content)
        write_bytes(self.path, content.getvalue())
        self._saved_s = time.monotonic()


def state_path(cache: Path | None, name: str, work: Sequence[Any], *, must_exist: bool = False) -> Path | None:
    """The file for a training of exactly this work, which is JSON-able; None without a cache folder.

    Raises:
        UsageError: it must exist and does not.
    """
    if cache is None:
        return None
    path = cache / f"{name}-{hashlib.sha256(json.dumps(work).encode()).hexdigest()[:16]}.pt"
    if must_exist and not path.is_file():
        raise UsageError(
            f"{cache} holds no state of this training to go on from: {path.name} is missing. Leave out --resume, or "
            "give --resume auto, to start it."
        )
    return path


@contextmanager
def show_rows(folder: Path | None, rows: Sequence[Row], counter: str) -> Iterator[Callable[[Row], None]]:
    """Gives a function that shows a row to TensorBoard, in `folder`/tensorboard; without a folder it shows nothing.

    Args:
        folder: Of the run.
        rows: Those of before the training was stopped; they are shown first.
        counter: What a row is counted by: "iteration", "epoch".

    Raises:
        MissingExtra: TensorBoard is not installed.
    """
    if folder is None:
        yield lambda row: None
        return
    from ..hub.output.tensorboard import Board

    board = Board(folder, counter=counter)
    for row in rows:
        board.write(row)
    try:
        yield board.write
    finally:
        board.close()


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Writes metrics.jsonl: one object a line."""
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
