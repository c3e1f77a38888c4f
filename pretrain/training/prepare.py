"""How a run starts: everything is checked, the parts are built, the RUN folder is claimed, a checkpoint is put back.

What a started run does is in the loop.
"""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list

from ...hub.deep_pixels import parse_values
from ...hub.encoder import Encoder
from ...hub.output.boards import open_boards
from ...hub.sources.open import open_data
from ...hub.sources.remote_shards import is_address
from ..data.decode import describe_decoding
from ..data.describe_data import describe_data
from ..freed_memory import keep_freed_memory
from ..objective import Step
from ..options import Options
from ..recipe import Recipe, describe
from ..views.compiled import announce_compilation
from . import checkpoint, run_folder
from .advice import advise
from .build import Parts, build, build_accelerator, build_monitor
from .checks import check
from .compiled import compile_step
from .continue_from import parent_of, start_from
from .deterministic import deterministic_algorithms
from .failures import all_or_none
from .monitor import Monitor, Progress
from .precision import resolve_device, resolve_precision
from .resume import Entry, Identity, enter
from .run import Run
from .start_encoder import parent_of_start, preprocessing_of, read_start, with_backbone_of

log = logging.getLogger(__name__)


def prepare(
    recipe: Recipe,
    data: Path | str,
    out: Path,
    options: Options,
    observe: Callable[[Progress], None],
    *,
    stack: ExitStack,
    start: Encoder | None = None,
) -> Run:
    """The run, at its first step or where its checkpoint left it; its folder is its own until `stack` is closed.

    `start` is what --init names, if it is read already.

    Raises:
        UsageError, OutputExists, DataError, ArtifactError, Busy: the run is refused; nothing was written.
    """
    keep_freed_memory()
    stack.enter_context(deterministic_algorithms(options.deterministic))
    device = resolve_device(options.device)
    precision = resolve_precision(options.precision, device)
    accelerator = build_accelerator(device, precision)
    with all_or_none(accelerator):
        start = start or read_start(options)
        recipe = recipe if start is None else with_backbone_of(start, recipe)
        images = open_data(data, values=None if options.values is None else parse_values(options.values))
        check(recipe, options, images.train, accelerator)
        described = describe_data(data, images.train) | describe_decoding(options)
        identity = _identity(recipe, options, described, precision, accelerator.num_processes, start)
        entry, inputs = Entry(), (data, options.continue_from, options.init)
        if accelerator.is_main_process:
            entry = enter(out, identity, options, inputs=inputs, stack=stack)
    (entry,) = broadcast_object_list([entry])
    if accelerator.is_main_process:
        advise(recipe, options, images.train)
        if device == "cpu":
            announce_compilation()
    parts = build(recipe, options, images.train, accelerator, start=start)
    if options.continue_from is not None:  # also when resumed: the run may have been killed before its first checkpoint
        start_from(options.continue_from, parts.state)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process and not entry.is_resumed:
        about = vars(identity) | _notes(data, options, entry, recipe.epochs)
        run_folder.claim(out, about, has_paths=options.record_paths)
    finite, monitor = build_monitor(recipe, options, parts, accelerator, out=out, observe=observe)
    _go_on(parts, monitor, out, entry)
    if options.boards and monitor.folder is not None:
        monitor.board = open_boards(options.boards, out, vars(identity), step=parts.state.step)
        stack.callback(monitor.board.close)
    if accelerator.is_main_process and entry.is_resumed:
        if entry.is_lengthened(recipe.epochs):
            log.info("the run is lengthened to %d epochs: from here on its schedule is the longer one's", recipe.epochs)
        changes = {"recipe": identity.recipe, "data": identity.data} | _notes(data, options, entry, recipe.epochs)
        run_folder.note_resumption(out, changes, has_paths=options.record_paths)
    return Run(
        recipe=recipe,
        out=out,
        options=options,
        identity=identity,
        preprocessing=preprocessing_of(recipe, start),
        images=images,
        accelerator=accelerator,
        processes=parts.processes,
        loader=parts.loader,
        networks=parts.networks,
        objective=_objective(recipe, options, parts),
        optimizer=parts.optimizer,
        state=parts.state,
        monitor=monitor,
        finite=finite,
        licence=options.licence or entry.licence or (None if start is None else start.origin.licence),
        earlier_epochs=entry.earlier_epochs(recipe.epochs),
        start=start,
    )


def _objective(recipe: Recipe, options: Options, parts: Parts) -> Callable[..., Step]:
    if not options.compile:
        return recipe.objective
    return compile_step(recipe.objective, parts.state, processes=parts.processes.world)


def _identity(
    recipe: Recipe,
    options: Options,
    described: dict[str, Any],
    precision: str,
    processes: int,
    start: Encoder | None,
) -> Identity:
    parent = None if start is None else parent_of_start(start)
    return Identity(
        recipe=describe(recipe),
        data=described,
        seed=options.seed,
        precision=precision,
        processes=processes,
        accumulate=options.accumulate,
        compile=options.compile,
        parent=parent if options.continue_from is None else parent_of(options.continue_from),
    )


def _notes(data: Path | str, options: Options, entry: Entry, epochs: int) -> dict[str, Any]:
    """What recipe.json says of a run beside its identity, as far as there is something to say."""
    path = str(data) if str(data).startswith("hf:") or is_address(data) else str(Path(data).absolute())
    notes = {
        "data_path": path if options.record_paths else None,
        "licence": options.licence or entry.licence,
        "lengthened_from": entry.earlier_epochs(epochs) or None,
    }
    return {name: value for name, value in notes.items() if value is not None}


def _go_on(parts: Parts, monitor: Monitor, out: Path, entry: Entry) -> None:
    """From the checkpoint, if the run is resumed."""
    state = parts.state
    if entry.is_resumed:
        monitor.restore(checkpoint.load(state, out / "state"), state.step, parts.device)
