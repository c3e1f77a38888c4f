"""How a run starts: everything is checked, then the RUN folder is claimed, then the parts are built and put back.

What a started run does is in the loop.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from ..hub.errors import UsageError
from . import checkpoint, parts, run_folder
from .board import Board, summary_writer
from .checkpoint import RunState
from .collapse import CollapseWatch
from .continued import parent_of, start_from
from .data import ViewLoader
from .device_crops import PhotosOnDevice
from .finite import FiniteWatch
from .kept import Keep, KeptPhotos, describe_kept, keep_photos
from .monitor import Monitor, Progress
from .objective import Networks
from .online_knn import OnlineKnn
from .precision import Device, Precision, resolve_device, resolve_precision
from .recipe import Recipe, describe, validate
from .sources import Data, Source, open_data
from .state import Bank, Queue

log = logging.getLogger(__name__)

COMPILER = "inductor"  # torch's own default


@dataclass(frozen=True)
class Request:
    """What was asked for; `goodviews.pretrain.loop.pretrain` says what each part means."""

    recipe: Recipe
    data: Path | str
    out: Path
    seed: int
    workers: int
    device: Device
    precision: Precision
    resume: bool
    overwrite: bool
    save_every: int | None
    keep: Keep
    keep_px: int | None
    tensorboard: bool
    accumulate: int
    compile: bool
    continue_from: Path | None
    keep_training: bool


@dataclass
class Run:
    """A run in memory: what was asked for, and the parts that work on it."""

    recipe: Recipe
    out: Path
    seed: int
    save_every: int | None
    accumulate: int
    keep_training: bool
    parent: str | None
    images: Data
    dataset: dict[str, Any]
    accelerator: Accelerator
    loader: ViewLoader
    networks: Networks
    optimizer: torch.optim.Optimizer
    state: RunState
    monitor: Monitor
    finite: FiniteWatch
    gauge: tuple[OnlineKnn, int] | None = None
    saved_at: float = 0.0
    has_said_memory: bool = False

    @property
    def steps_per_epoch(self) -> int:
        """Steps of the optimiser; the loader gives `accumulate` batches for each."""
        return self.loader.steps_per_epoch // self.accumulate

    @property
    def steps(self) -> int:
        return self.recipe.epochs * self.steps_per_epoch

    @property
    def epoch(self) -> float:
        """Epochs done, with the share of the one under way."""
        return self.state.step / self.steps_per_epoch


def prepare(request: Request, observe: Callable[[Progress], None]) -> Run:
    """Check everything, then claim the RUN folder, then build the parts and put a checkpoint back into them."""
    recipe = request.recipe
    processor = resolve_device(request.device)
    arithmetic = resolve_precision(request.precision, processor)
    accelerator = _accelerator(processor, arithmetic)
    rank, world = accelerator.process_index, accelerator.num_processes
    images = open_data(request.data)
    validate(recipe, images=len(images.train), world=world, classes=len(images.train.classes))
    _check_accumulation(recipe, request.accumulate, world)
    if accelerator.is_main_process:
        _warn_of_memory(recipe, len(images.train))
    parent = parent_of(request.continue_from) if request.continue_from is not None else None
    dataset = images.train.describe() | describe_kept(request.keep, request.keep_px)
    identity = run_folder.Identity(
        describe(recipe), dataset, request.seed, arithmetic, request.accumulate, request.compile, parent
    )
    run_folder.check(request.out, identity, resume=request.resume, overwrite=request.overwrite)
    network = parts.build(recipe, request.seed, accelerator.device, world=world)
    if request.tensorboard:
        summary_writer()  # that it is missing is said before anything is written
    kept = _keep(request, images.train, accelerator)
    built = parts.assemble(recipe, network, accelerator, images=len(images.train), seed=request.seed)
    if request.continue_from is not None:  # also when resumed: the run may have been killed before its first checkpoint
        start_from(request.continue_from, built.state)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process and not request.resume:
        run_folder.begin(request.out, identity)

    if request.compile:
        _compile(built.state)
    loader = ViewLoader(
        images.train,
        recipe.views,
        batch_size=recipe.batch_size // request.accumulate,
        seed=request.seed,
        workers=request.workers,
        rank=rank,
        world=world,
        kept=kept,
        on_device=PhotosOnDevice(kept, accelerator.device) if kept is not None and request.keep == "gpu" else None,
        device=accelerator.device,
    )
    finite = FiniteWatch(request.out, rank=rank, world=world, total=partial(accelerator.reduce, reduction="sum"))
    monitor = Monitor(
        request.out if accelerator.is_main_process else None,
        steps=recipe.epochs * (loader.steps_per_epoch // request.accumulate),
        reduce=partial(accelerator.reduce, reduction="mean"),
        signals=CollapseWatch(network.head, queue=_queue_size(recipe), batch_size=recipe.batch_size),
        check=finite.check,
        observe=observe,
    )
    if request.resume:
        monitor.restore(checkpoint.load(built.state, request.out / "state"), built.state.step, accelerator.device)
    if request.tensorboard and accelerator.is_main_process:
        monitor.board = Board(request.out, step=built.state.step)
    return Run(
        recipe,
        request.out,
        request.seed,
        request.save_every,
        request.accumulate,
        request.keep_training,
        parent,
        images,
        dataset,
        accelerator,
        loader,
        built.networks,
        built.optimizer,
        built.state,
        monitor,
        finite,
    )


def _check_accumulation(recipe: Recipe, parts: int, world: int) -> None:
    """Raises:
    UsageError: a batch cannot be cut into so many parts.
    """
    if parts < 1 or recipe.batch_size % (parts * world) or recipe.batch_size // (parts * world) < 2:
        among = f" in each of {world} processes" if world > 1 else ""
        raise UsageError(
            f"--accumulate {parts} cannot cut a batch of {recipe.batch_size} images into equal parts, 2 or more{among}."
        )
    if parts > 1:
        log.info(
            "each batch of %d goes through in %d parts: batch norm, and whatever an objective compares within a batch, "
            "sees %d images at a time",
            recipe.batch_size,
            parts,
            recipe.batch_size // parts,
        )


def _compile(state: RunState) -> None:
    """The backbones, in place: their tensors' names, and with them checkpoints, stay as they are."""
    for network in (state.network, None if state.pair is None else state.pair.key):
        for backbone in (getattr(network, "backbone", None), getattr(network, "chroma", None)):
            if backbone is not None:
                backbone.compile(backend=COMPILER)


def _queue_size(recipe: Recipe) -> int:
    return recipe.memory.size if isinstance(recipe.memory, Queue) else 0


def _warn_of_memory(recipe: Recipe, images: int) -> None:
    if isinstance(recipe.memory, Queue) and recipe.memory.size >= images:
        log.warning(
            "the queue (%d keys) is not smaller than the data (%d images): images meet their own old keys as negatives",
            recipe.memory.size,
            images,
        )
    if isinstance(recipe.memory, Bank) and recipe.memory.negatives >= images:
        log.warning(
            "%d negatives are drawn of %d images: an image meets itself and others several times over; "
            "--set memory.negatives=%d would do",
            recipe.memory.negatives,
            images,
            images // 2,
        )


def _keep(request: Request, source: Source, accelerator: Accelerator) -> KeptPhotos | None:
    """The decoded photos, if they are to be kept; of several processes the first fills the disk for all.

    Raises:
        UsageError: they cannot be kept so.
    """
    if request.keep == "no":
        if request.keep_px is not None:
            raise UsageError("--keep-px is the size of kept photos; give --keep memory, disk or gpu with it.")
        return None
    if request.keep_px is not None and request.keep_px < 1:
        raise UsageError(f"--keep-px is {request.keep_px}; the shorter side of a kept photo is 1 pixel or more.")
    if request.keep == "gpu" and accelerator.device.type == "cpu":
        raise UsageError("--keep gpu: this run has no GPU; give --keep memory or disk.")
    if request.keep != "disk":
        return keep_photos(source, request.keep, short_px=request.keep_px, workers=request.workers)
    with accelerator.local_main_process_first():
        return keep_photos(source, request.keep, short_px=request.keep_px, workers=request.workers)


def _accelerator(device: str, arithmetic: str) -> Accelerator:
    """Accelerate keeps its settings for the whole process; a second run in it may want others."""
    AcceleratorState._reset_state()
    torch.backends.cudnn.deterministic = True
    return Accelerator(cpu=device == "cpu", mixed_precision={"fp32": "no"}.get(arithmetic, arithmetic))
