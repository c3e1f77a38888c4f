"""The RUN folder: what lies where, when it may be written, and what must be equal to resume the run in it.

RUN/recipe.json     the resolved recipe, the data's description, seed, precision, command, commit, hardware, libraries
RUN/metrics.jsonl   the losses, the learning rate and the speed; online kNN
RUN/state/          the checkpoint, for --resume
RUN/encoder/        the encoder as of the last checkpoint: this is published
RUN/encoder_chroma/ the second branch of methods with two, whose first is RUN/encoder
RUN/skipped.txt     images that could not be read, if any
RUN/tensorboard/    the lines of metrics.jsonl for TensorBoard, with --tensorboard
RUN/bad_batch.pt    the images whose loss was NaN or infinite, if that ended the run; each process has its own,
                    bad_batch_RANK.pt, where there are several
"""

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...hub.errors import OutputExists, UsageError
from ...hub.files.atomic import write_json, write_text
from ...hub.files.json_files import Place, read_json
from ...hub.files.overwrite import Input, mark, refuse_folder
from ...hub.reports.provenance import command, commit, hardware, libraries, version

OURS = (
    "recipe.json",
    "metrics.jsonl",
    "skipped.txt",
    "state",
    "encoder",
    "encoder_chroma",
    "tensorboard",
    "bad_batch.pt",
)


@dataclass(frozen=True)
class Identity:
    """What must be the same for a run to be resumed."""

    recipe: dict[str, Any]
    data: dict[str, Any]
    seed: int
    precision: str
    accumulate: int
    compile: bool
    parent: str | None


def check(out: Path, identity: Identity, *, resume: bool, overwrite: bool, inputs: Sequence[Input] = ()) -> None:
    """Refuse before anything is written.

    Raises:
        UsageError: there is no run to resume, or it had another recipe or other data.
        OutputExists: the folder is not empty and neither flag was given, or it is no run, or an input.
    """
    if resume and overwrite:
        raise UsageError("--resume continues a run and --overwrite starts it anew; give one of them.")
    if resume:
        _check_same(out, identity)
        return
    refuse_folder(out, overwrite=True, kind="run", inputs=inputs)
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise OutputExists(out, "--resume continues the run in it, --overwrite starts it anew.")


def claim(out: Path, identity: Identity) -> None:
    """Claim the folder for a new run: what an earlier run wrote is removed, anything else stays."""
    for name in OURS:
        path = out / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    made_by = {"goodviews": version(), "commit": commit(), "command": command(), "hardware": hardware()}
    out.mkdir(parents=True, exist_ok=True)
    mark(out, "run")
    write_json(out / "recipe.json", vars(identity) | made_by | {"libraries": libraries()})


def add_skipped(out: Path, found: Iterable[tuple[str, str]]) -> None:
    """Add images that could not be read, as (place, reason), to RUN/skipped.txt, each once, also when resumed."""
    path = out / "skipped.txt"
    listed = path.read_text("utf-8", "surrogateescape").splitlines() if path.is_file() else []
    known = {line.partition("\t")[0] for line in listed}
    new = {place: reason for place, reason in found if place not in known}
    if new:
        lines = [*listed, *(f"{place}\t{' '.join(reason.split())}" for place, reason in new.items())]
        write_text(path, "".join(line + "\n" for line in lines))


def _check_same(out: Path, identity: Identity) -> None:
    from ...hub.schemas.record import check as check_schema
    from .recipe_schema import RecipeFile

    path = out / "recipe.json"
    if not path.is_file():
        raise UsageError(f"{out} holds no run to resume: recipe.json is missing. Leave out --resume to start one.")
    place = Place(path, "the run cannot be resumed, start anew with --overwrite")
    before = read_json(place)
    check_schema(RecipeFile, before, place)
    now = json.loads(json.dumps(vars(identity)))
    for part, wanted in now.items():
        difference = _first_difference(before.get(part), wanted, part)
        if difference:
            raise UsageError(
                f"{out} was started with {difference}; resume it as it was started, or give another --out."
            )


def _first_difference(before: Any, now: Any, where: str) -> str | None:
    if isinstance(before, dict) and isinstance(now, dict):
        differences = (_first_difference(before.get(key), now.get(key), f"{where}.{key}") for key in {**before, **now})
        return next((difference for difference in differences if difference), None)
    if before == now:
        return None
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = (_first_difference(b, n, f"{where}.{i}") for i, (b, n) in enumerate(zip(before, now)))
        return next((difference for difference in pairs if difference), None)
    return f"{where} {before}, not {now}"
