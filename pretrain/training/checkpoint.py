"""The checkpoint: the whole state of a run, from which it goes on as if it had never stopped.

One file, replaced in one step, so a run killed at any moment finds the last complete one. Random numbers are not in it:
every one of them comes from (seed, step) or (seed, epoch, sample, view).
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from ...hub.errors import ArtifactError, GoodviewsError
from ...hub.files.json_files import Place
from ...hub.files.sealed_files import load_sealed, save_sealed
from ...hub.weights import refuse_odd_weights
from ..models.memory import Memory
from ..models.networks import TrainedNetwork

Kind = TypeVar("Kind")

FORMAT = 2
FILE = "checkpoint.pt"
_KERNELS = ("fused", "foreach")  # settings of an optimiser that go with the device: a run may continue on another
NAMES = ("key", "memory", "clusters")  # of the memories that have a place in every checkpoint, None where there is none


@dataclass
class RunState:
    """All that changes while training; `step` counts the steps done.

    memories: by their names in a checkpoint, in the order in which they follow a step.
    """

    network: TrainedNetwork
    memories: dict[str, Memory]
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None
    step: int = 0

    def memory(self, kind: type[Kind]) -> Kind | None:
        """The memory of a class, if the method has one."""
        return next((memory for memory in self.memories.values() if isinstance(memory, kind)), None)


def save(state: RunState, monitor: dict[str, Any], folder: Path) -> Path:
    """Write FOLDER/checkpoint.pt, replacing the previous one only when the new one is complete.

    Raises:
        GoodviewsError: the disk refuses; the previous checkpoint is untouched.
    """
    content = {
        "format": FORMAT,
        "step": state.step,
        "query": state.network.state_dict(),
        **dict.fromkeys(NAMES),
        **{name: memory.state() for name, memory in state.memories.items() if name in NAMES},
        "optimizer": state.optimizer.state_dict(),
        "scaler": state.scaler.state_dict() if state.scaler is not None else None,
        "monitor": monitor,
    }
    path, partial = folder / FILE, folder / f"{FILE}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(content, partial)
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch's zip writer turns a full disk into a RuntimeError
        partial.unlink(missing_ok=True)
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        earlier = f"the earlier checkpoint is still in {path}" if path.exists() else "there is no earlier one"
        raise GoodviewsError(
            f"The checkpoint of step {state.step} could not be written to {folder} ({reason}); {earlier}. "
            "Free some space, then continue with --resume."
        ) from error
    return path


def load(state: RunState, folder: Path) -> dict[str, Any] | None:
    """Put a checkpoint back into `state` and return the monitor's part; None, with nothing changed, if there is none.

    A newer one that a killed process did not finish is removed: whoever loads is the run's only writer.

    Raises:
        ArtifactError: the file is damaged or does not fit the recipe.
    """
    path = folder / FILE
    (folder / f"{FILE}.partial").unlink(missing_ok=True)
    if not path.is_file():
        return None
    content = _read(path, state)
    with _explain(path):
        state.network.load_state_dict(content["query"], strict=True)
        for name, memory in state.memories.items():
            if content.get(name) is not None:  # None of a memory that saves nothing
                memory.restore(content[name])
        kernels = [{name: group[name] for name in _KERNELS if name in group} for group in _groups(state)]
        state.optimizer.load_state_dict(content["optimizer"])
        for group, own in zip(_groups(state), kernels, strict=True):
            group.update(own)
        if state.scaler is not None and content["scaler"] is not None:
            state.scaler.load_state_dict(content["scaler"])
    state.step = content["step"]
    monitor: dict[str, Any] = content["monitor"]
    return monitor


def inherit(state: RunState, folder: Path) -> None:
    """Put a checkpoint of another run into a new one: what it learned and its optimiser's running sums.

    The step stays 0, and the optimiser's settings stay those of the new run's recipe. A memory of another size
    starts anew, and so do clusters.

    Raises:
        ArtifactError: the file is damaged, or of another architecture or method.
    """
    path = folder / FILE
    content = _read(path, state)
    with _explain(path):
        state.network.load_state_dict(content["query"], strict=True)
        for name, memory in state.memories.items():
            memory.inherit(content.get(name))
    settings = [{name: value for name, value in group.items() if name != "params"} for group in _groups(state)]
    try:
        state.optimizer.load_state_dict(content["optimizer"])
    except (ValueError, KeyError) as error:
        raise ArtifactError(f"{path} is of another optimiser: {error}; continue with the same kind.") from None
    for group, setting in zip(_groups(state), settings, strict=True):
        group.update(setting)
    if state.scaler is not None and content["scaler"] is not None:
        state.scaler.load_state_dict(content["scaler"])


def copy(folder: Path, out: Path) -> Path:
    """Put a checkpoint into another folder, whole.

    Raises:
        GoodviewsError: the disk refuses.
    """
    path, partial = out / FILE, out / f"{FILE}.partial"
    try:
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / FILE, partial)
        partial.replace(path)
    except OSError as error:
        shutil.rmtree(out, ignore_errors=True)
        raise GoodviewsError(f"The run's state could not be copied to {out} ({error.strerror}); free space.") from error
    return path


def _groups(state: RunState) -> list[dict[str, Any]]:
    return state.optimizer.param_groups


def _read(path: Path, state: RunState) -> dict[str, Any]:
    from ...hub.schemas.record import check
    from .recipe_schema import CheckpointFile

    try:
        # On the CPU: a GPU would hold the state twice, and AdamW, with its step counts there, would wait at every step.
        content = load_sealed(path, map_location="cpu")
    except ArtifactError:
        raise
    except Exception as error:  # torch raises many kinds for a damaged file
        raise ArtifactError(f"{path} cannot be read ({type(error).__name__}); start again with --overwrite.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ArtifactError(f"{path} is not a checkpoint of this goodviews; start again with --overwrite.")
    check(CheckpointFile, content, Place(path, "start again with --overwrite"))
    refuse_odd_weights(content["query"], source=path)
    return content


def _write(content: dict[str, Any], path: Path) -> None:
    with path.open("wb") as stream:
        save_sealed(content, stream)
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def _explain(path: Path) -> Iterator[None]:
    """A state of another shape becomes one sentence."""
    try:
        yield
    except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[-1].strip()
        raise ArtifactError(f"{path} does not fit this recipe: {reason}") from error
