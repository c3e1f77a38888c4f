"""How a run starts: everything is checked, the parts are built, the RUN folder is claimed, a checkpoint is put back.

What a started run does is in the loop.
"""

from collections.abc import Callable
from pathlib import Path

from ...hub.deep_pixels import parse_values
from ...hub.encoder import Encoder
from ...hub.output.tensorboard import Board
from ...hub.sources.open import open_data
from ...hub.sources.source import Source
from ..data.decode import describe_decoding
from ..options import Options
from ..recipe import Recipe, describe
from . import checkpoint, run_folder
from .advice import advise
from .build import Parts, build, build_accelerator, build_monitor, compile_backbones
from .checks import check
from .continue_from import parent_of, start_from
from .monitor import Monitor, Progress
from .precision import resolve_device, resolve_precision
from .run import Run
from .run_folder import Identity
from .start_encoder import parent_of_start, preprocessing_of, read_start, with_backbone_of


def prepare(
    recipe: Recipe,
    data: Path | str,
    out: Path,
    options: Options,
    observe: Callable[[Progress], None],
    *,
    start: Encoder | None = None,
) -> Run:
    """The run, at its first step or where its checkpoint left it. `start` is what --init names, if it is read already.

    Raises:
        UsageError, OutputExists, DataError, ArtifactError: the run is refused; nothing was written.
    """
    device = resolve_device(options.device)
    precision = resolve_precision(options.precision, device)
    accelerator = build_accelerator(device, precision)
    start = start or read_start(options)
    recipe = recipe if start is None else with_backbone_of(start, recipe)
    images = open_data(data, values=None if options.values is None else parse_values(options.values))
    check(recipe, options, images.train, accelerator)
    identity = _identity(recipe, options, images.train, precision, start)
    inputs = (data, options.continue_from, options.init)
    run_folder.check(out, identity, resume=options.resume, overwrite=options.overwrite, inputs=inputs)
    if accelerator.is_main_process:
        advise(recipe, options, images.train)
    parts = build(recipe, options, images.train, accelerator, start=start)
    if options.continue_from is not None:  # also when resumed: the run may have been killed before its first checkpoint
        start_from(options.continue_from, parts.state)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process and not options.resume:
        run_folder.claim(out, identity)
    if options.compile:
        compile_backbones(parts.state)
    finite, monitor = build_monitor(recipe, options, parts, accelerator, out=out, observe=observe)
    _go_on(parts, monitor, options, out)
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
        optimizer=parts.optimizer,
        state=parts.state,
        monitor=monitor,
        finite=finite,
    )


def _identity(recipe: Recipe, options: Options, source: Source, precision: str, start: Encoder | None) -> Identity:
    parent = None if start is None else parent_of_start(start)
    return Identity(
        recipe=describe(recipe),
        data=source.describe() | describe_decoding(options),
        seed=options.seed,
        precision=precision,
        accumulate=options.accumulate,
        compile=options.compile,
        parent=parent if options.continue_from is None else parent_of(options.continue_from),
    )


def _go_on(parts: Parts, monitor: Monitor, options: Options, out: Path) -> None:
    """From the checkpoint, if the run is resumed; the board then hides what was written after it."""
    state = parts.state
    if options.resume:
        monitor.restore(checkpoint.load(state, out / "state"), state.step, parts.device)
    if options.tensorboard and monitor.folder is not None:
        monitor.board = Board(out, step=state.step)
