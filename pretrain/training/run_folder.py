"""The RUN folder: what lies where, and how a new run claims it. Whether it may be claimed or resumed: see resume.

RUN/recipe.json     the resolved recipe, the data's description, seed, precision, number of processes; date, command,
                    commit, hardware and libraries of the start and of every resumption
RUN/metrics.jsonl   the losses, the learning rate and the speed; online kNN
RUN/state/          the checkpoint, for --resume
RUN/encoder/        the encoder as of the last checkpoint: this is published
RUN/encoder_chroma/ the second branch of methods with two, whose first is RUN/encoder
RUN/snapshots/      encoders along the run, encoder-EPOCH, with --snapshot-every
RUN/skipped.txt     images that could not be read, if any
RUN/tensorboard/    the lines of metrics.jsonl for TensorBoard, with --tensorboard; RUN/wandb and RUN/mlflow with --log
RUN/profile/        the trace of some steps, with --profile
RUN/bad_batch.pt    the images whose loss was NaN or infinite, if that ended the run; each process has its own,
                    bad_batch_RANK.pt, where there are several
"""

import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...hub.files.atomic import write_json, write_text
from ...hub.files.json_files import Place, read_json
from ...hub.files.leftovers import remove_leftovers
from ...hub.files.overwrite import mark
from ...hub.reports.provenance import command, commit, hardware, libraries, version

OURS = (
    "recipe.json",
    "metrics.jsonl",
    "skipped.txt",
    "state",
    "encoder",
    "encoder_chroma",
    "snapshots",
    "tensorboard",
    "wandb",
    "mlflow",
    "profile",
    "bad_batch.pt",
)


def claim(out: Path, about: Mapping[str, Any], *, has_paths: bool = False) -> None:
    """Claim the folder for a new run: what an earlier run wrote is removed, anything else stays.

    Args:
        about: what recipe.json says of the run beside its start.
        has_paths: record the command with its absolute paths.
    """
    for name in OURS:
        path = out / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    mark(out, "run")
    made_by = _made_by(has_paths=has_paths) | {"libraries": libraries()}
    write_json(out / "recipe.json", {**about, **made_by})


def note_resumption(out: Path, changes: Mapping[str, Any], *, has_paths: bool = False) -> None:
    """Add to recipe.json that the run goes on, when and by which command; `changes` replace what was there."""
    for name in OURS:
        remove_leftovers(out / name)
    path = out / "recipe.json"
    before = read_json(Place(path, "the run cannot be resumed, start anew with --overwrite"))
    resumed = [*before.get("resumed", []), _made_by(has_paths=has_paths)]
    write_json(path, {**before, **changes, "resumed": resumed})


def add_skipped(out: Path, found: Iterable[tuple[str, str]]) -> None:
    """Add images that could not be read, as (place, reason), to RUN/skipped.txt, each once, also when resumed."""
    path = out / "skipped.txt"
    listed = path.read_text("utf-8", "surrogateescape").splitlines() if path.is_file() else []
    known = {line.partition("\t")[0] for line in listed}
    new = {place: reason for place, reason in found if place not in known}
    if new:
        lines = [*listed, *(f"{place}\t{' '.join(reason.split())}" for place, reason in new.items())]
        write_text(path, "".join(line + "\n" for line in lines))


def _made_by(*, has_paths: bool) -> dict[str, Any]:
    """When and by what: as recorded at the start and at every resumption."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    made_by = {"started": started, "command": command(has_paths=has_paths), "goodviews": version()}
    return made_by | {"commit": commit(), "hardware": hardware()}
