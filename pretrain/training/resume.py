"""The resume check: whether a run starts in its RUN folder or goes on there, and what must be equal to go on.

The data may have been moved or renamed, and the run may be lengthened; anything else would end in other weights than
an unbroken run, so it is refused.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...hub.errors import OutputExists, UsageError
from ...hub.files.json_files import Place, read_json
from ...hub.files.locks import refuse_busy, sole_writer
from ...hub.files.overwrite import Input, refuse_folder
from ..data.decode import JPEG, KEPT, WHOLE
from ..data.describe_data import SAMPLE
from ..options import Options


@dataclass(frozen=True)
class Identity:
    """What must be the same for a run to be resumed; of the recipe all but a smaller number of epochs, of the data all
    but the name."""

    recipe: dict[str, Any]
    data: dict[str, Any]
    seed: int
    precision: str
    processes: int
    accumulate: int
    compile: bool
    parent: str | None


@dataclass(frozen=True)
class Entry:
    """How a run enters its folder.

    before: recipe.json of the run that goes on; None for a new one.
    """

    before: dict[str, Any] | None = None

    @property
    def is_resumed(self) -> bool:
        return self.before is not None

    @property
    def licence(self) -> str | None:
        """Of the weights, as the run that goes on has it."""
        return None if self.before is None else self.before.get("licence")

    def is_lengthened(self, epochs: int) -> bool:
        """Whether the run goes on for more epochs than it had."""
        return self.before is not None and _is_longer(self.before["recipe"].get("epochs"), epochs)

    def earlier_epochs(self, epochs: int) -> list[int]:
        """The lengths that the run had before it was lengthened to `epochs`, in their order."""
        if self.before is None:
            return []
        earlier: list[int] = list(self.before.get("lengthened_from", []))
        return [*earlier, self.before["recipe"]["epochs"]] if self.is_lengthened(epochs) else earlier


def enter(out: Path, identity: Identity, options: Options, *, inputs: Sequence[Input], stack: ExitStack) -> Entry:
    """Take the RUN folder for this process until `stack` is closed; a refusal writes nothing.

    Raises:
        UsageError: there is no run to resume, or it was started otherwise.
        OutputExists: the folder is not empty and no option says what becomes of it, or it is no run, or an input.
        Busy: another process runs in it.
    """
    refuse_busy(out)
    find_entry(out, identity, options, inputs=inputs)
    stack.enter_context(sole_writer(out))
    return find_entry(out, identity, options, inputs=inputs)  # another run may have come first


def find_entry(out: Path, identity: Identity, options: Options, *, inputs: Sequence[Input] = ()) -> Entry:
    """Whether the run starts or goes on, and from what; refuses before anything is written.

    Raises:
        UsageError, OutputExists: as for `enter`.
    """
    if options.resume and options.overwrite:
        raise UsageError("--resume continues a run and --overwrite starts it anew; give one of them.")
    if options.resume is True or (options.resume == "auto" and (out / "recipe.json").is_file()):
        return Entry(_read_same(out, identity))
    refuse_folder(out, overwrite=True, kind="run", inputs=inputs)
    if out.is_dir() and any(out.iterdir()) and not options.overwrite:
        raise OutputExists(out, "--resume continues the run in it, --overwrite starts it anew.")
    return Entry()


def _read_same(out: Path, identity: Identity) -> dict[str, Any]:
    """recipe.json of a run that was started as this one is."""
    from ...hub.schemas.record import check as check_schema
    from .recipe_schema import RecipeFile

    path = out / "recipe.json"
    if not path.is_file():
        raise UsageError(f"{out} holds no run to resume: recipe.json is missing. Leave out --resume to start one.")
    place = Place(path, "the run cannot be resumed, start anew with --overwrite")
    before = read_json(place)
    check_schema(RecipeFile, before, place)
    now = json.loads(json.dumps(vars(identity)))
    _refuse_other_processes(out, before, identity.processes)
    _refuse_other_decoding(out, before, identity.data)
    for part, wanted in now.items():
        difference = _first_difference(*_comparable(part, before.get(part), wanted), part)
        if difference:
            raise UsageError(
                f"{out} was started with {difference}; resume it as it was started, or give another --out."
            )
    return before


def _refuse_other_processes(out: Path, before: Mapping[str, Any], now: int) -> None:
    """Another number would cut batches, batch norm and patch orders otherwise. Older runs do not say theirs."""
    then = before.get("processes")
    if then not in (None, now):
        how = "without torchrun" if then == 1 else f"with torchrun --nproc-per-node {then}, or as many on several nodes"
        raise UsageError(
            f"{out} was started with {then} process{'es' if then > 1 else ''} and cannot go on with {now}: batch norm "
            f"and patch orders would be cut otherwise, and the weights be others; resume it {how}."
        )


def _refuse_other_decoding(out: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """JPEG files read at other sizes give other pixels. Older runs, which do not say how, read more of them smaller."""
    data = before.get("data")
    then = data.get(JPEG) if isinstance(data, dict) else None
    if JPEG not in now or then == now[JPEG] or (isinstance(data, dict) and KEPT in data):
        return
    if then is None:
        raise UsageError(
            f"{out} was started by an older goodviews, which read more JPEG files at a smaller size; from here on the "
            "run would see sharper photos and end in other weights. Finish it with the version that started it, or "
            "start it anew with --overwrite."
        )
    option = "without" if now[JPEG] == WHOLE else "with"
    raise UsageError(f"{out} was started {option} --exact-decode; resume it as it was started, or give another --out.")


def _comparable(part: str, before: Any, now: Any) -> tuple[Any, Any]:
    """Both values of a part, without what may differ."""
    if part == "processes":
        return now, now
    if not isinstance(before, dict) or not isinstance(now, dict):
        return before, now
    ignored: set[str] = set()
    if part == "data":  # its place may change; what older runs do not say of its content is not compared
        ignored = {"name"} | ({SAMPLE} - before.keys())
    elif part == "recipe" and _is_longer(before.get("epochs"), now.get("epochs")):
        ignored = {"epochs"}
    then, wanted = ({key: value for key, value in each.items() if key not in ignored} for each in (before, now))
    return then, wanted


def _is_longer(before: Any, now: Any) -> bool:
    return isinstance(before, int) and isinstance(now, int) and now > before


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
