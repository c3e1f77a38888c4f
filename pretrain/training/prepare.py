"""How a run starts: everything is checked, then the RUN folder is claimed, then the parts are built and put back.

What a started run does is in the loop.
"""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor

from ...hub.errors import UsageError
from ...hub.sources.open import open_data
from ...hub.sources.source import Source
from ..data.decoded_cache import decode_photos, describe_decoding
from ..data.decoded_photos import DecodedPhotos
from ..data.device_crops import PhotosOnDevice
from ..data.loader import ViewLoader
from ..data.memory_budget import advise_decoding_once
from ..models.across_processes import Processes
from ..models.clusters import Clusters
from ..models.ema import EmaPair
from ..models.memory_bank import Bank
from ..models.queue import Queue
from ..models.schedules import warmup_epochs
from ..recipe import Recipe, describe
from . import checkpoint, run_folder
from .build import assemble, build_trained_network
from .checkpoint import RunState
from .checks import validate
from .collapse import CollapseWatch
from .continue_from import parent_of, start_from
from .finite_loss import FiniteWatch
from .monitor import Monitor, Progress
from .precision import resolve_device, resolve_precision
from .run import Request, Run
from .tensorboard import Board, summary_writer

log = logging.getLogger(__name__)

COMPILER = "inductor"  # torch's own default


def prepare(request: Request, observe: Callable[[Progress], None]) -> Run:
    """Check everything, then claim the RUN folder, then build the parts and put a checkpoint back into them."""
    recipe, seed = request.recipe, request.seed
    arithmetic = resolve_precision(request.precision, resolve_device(request.device))
    accelerator = _accelerator(resolve_device(request.device), arithmetic)
    images = open_data(request.data)
    _check(request, images.train, accelerator)
    parent = parent_of(request.continue_from) if request.continue_from is not None else None
    dataset = images.train.describe() | describe_decoding(request.keep, request.keep_px)
    identity = run_folder.Identity(
        describe(recipe), dataset, seed, arithmetic, request.accumulate, request.compile, parent
    )
    run_folder.check(request.out, identity, resume=request.resume, overwrite=request.overwrite)
    processes = _processes(accelerator)
    network = build_trained_network(recipe, seed, accelerator.device, world=processes.world)
    kept = _keep(request, images.train, accelerator)
    built = assemble(
        recipe,
        network,
        accelerator,
        processes=processes,
        images=len(images.train),
        seed=seed,
        labels=images.train.labels,
    )
    if request.continue_from is not None:  # also when resumed: the run may have been killed before its first checkpoint
        start_from(request.continue_from, built.state)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process and not request.resume:
        run_folder.begin(request.out, identity)
    if request.compile:
        _compile(built.state)
    loader = _loader(request, images.train, kept, accelerator)
    finite, monitor = _monitors(request, built.state, loader, accelerator, observe)
    return Run(
        request=request,
        parent=parent,
        images=images,
        dataset=dataset,
        accelerator=accelerator,
        loader=loader,
        processes=processes,
        networks=built.networks,
        optimizer=built.optimizer,
        state=built.state,
        monitor=monitor,
        finite=finite,
    )


def _check(request: Request, source: Source, accelerator: Accelerator) -> None:
    """Refuse what can be known to fail before anything is built or written; warn of what is unwise.

    Raises:
        UsageError: the recipe, the batch's parts or the keeping of photos cannot be.
        MissingExtra: TensorBoard is not installed.
    """
    world = accelerator.num_processes
    _check_counts(request)
    validate(request.recipe, images=len(source), world=world, classes=len(source.classes))
    _check_accumulation(request.recipe, request.accumulate, world)
    _check_keeping(request, accelerator)
    if request.tensorboard:
        summary_writer()
    if accelerator.is_main_process:
        _warn_of_memory(request.recipe, len(source))
        _warn_of_climb(request.recipe)
        advice = advise_decoding_once(source, request.recipe.epochs) if request.keep == "no" else None
        if advice:
            log.info(advice)


def _check_counts(request: Request) -> None:
    """Raises:
    UsageError: fewer than none.
    """
    if request.workers < 0:
        raise UsageError(f"--workers is {request.workers}; give 0 to load images in the run's own process, or more.")
    if request.save_every is not None and request.save_every < 1:
        raise UsageError(
            f"--save-every is {request.save_every}; it counts steps, from 1. "
            "Without it a run is saved every ten minutes."
        )


def _loader(request: Request, source: Source, kept: DecodedPhotos | None, accelerator: Accelerator) -> ViewLoader:
    return ViewLoader(
        source,
        request.recipe.views,
        batch_size=request.recipe.batch_size // request.accumulate,
        seed=request.seed,
        workers=request.workers,
        rank=accelerator.process_index,
        world=accelerator.num_processes,
        decoded=kept,
        on_device=PhotosOnDevice(kept, accelerator.device) if kept is not None and request.keep == "gpu" else None,
        device=accelerator.device,
    )


def _monitors(
    request: Request,
    state: RunState,
    loader: ViewLoader,
    accelerator: Accelerator,
    observe: Callable[[Progress], None],
) -> tuple[FiniteWatch, Monitor]:
    """Who watches the losses and who writes them down, as they were if the run is resumed."""
    recipe, is_first = request.recipe, accelerator.is_main_process
    finite = FiniteWatch(
        request.out,
        rank=accelerator.process_index,
        world=accelerator.num_processes,
        total=partial(accelerator.reduce, reduction="sum"),
    )
    queue = recipe.memory.size if isinstance(recipe.memory, Queue) else 0
    monitor = Monitor(
        request.out if is_first else None,
        steps=recipe.epochs * (loader.steps_per_epoch // request.accumulate),
        reduce=partial(accelerator.reduce, reduction="mean"),
        signals=CollapseWatch(
            state.network.head, classifies=recipe.head == "classifier", queue=queue, batch_size=recipe.batch_size
        ),
        check=finite.check,
        observe=observe,
    )
    if request.resume:
        monitor.restore(checkpoint.load(state, request.out / "state"), state.step, accelerator.device)
    if request.tensorboard and is_first:
        monitor.board = Board(request.out, step=state.step)
    return finite, monitor


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


def _processes(accelerator: Accelerator) -> Processes:
    def gather(rows: Tensor) -> Tensor:
        return accelerator.gather(rows.to(accelerator.device))

    return Processes(accelerator.process_index, accelerator.num_processes, gather)


def _compile(state: RunState) -> None:
    """The backbones, in place: their tensors' names, and with them checkpoints, stay as they are."""
    pair = state.memory(EmaPair)
    for network in (state.network, None if pair is None else pair.key):
        for backbone in (getattr(network, "backbone", None), getattr(network, "chroma", None)):
            if backbone is not None:
                backbone.compile(backend=COMPILER)


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

    if isinstance(recipe.prototypes, Clusters) and recipe.prototypes.from_epoch >= recipe.epochs:
        log.warning(
            "clusters are made from epoch %d on, but the run ends after %d: it is plain momentum contrast; "
            "--set prototypes.from_epoch=%d would do",
            recipe.prototypes.from_epoch,
            recipe.epochs,
            recipe.epochs // 10,
        )


def _warn_of_climb(recipe: Recipe) -> None:
    climb = warmup_epochs(recipe.schedule, batch_size=recipe.batch_size, epochs=recipe.epochs)
    if climb >= recipe.epochs:
        log.warning(
            "the learning rate climbs for %d epochs and the run has %d: it never reaches its height and comes down; "
            "well enough for a trial, for more give --epochs",
            climb,
            recipe.epochs,
        )


def _check_keeping(request: Request, accelerator: Accelerator) -> None:
    """Raises:
    UsageError: photos cannot be kept so.
    """
    if request.keep == "no" and request.keep_px is not None:
        raise UsageError("--keep-px is the size of kept photos; give --keep memory, disk or gpu with it.")
    if request.keep_px is not None and request.keep_px < 1:
        raise UsageError(f"--keep-px is {request.keep_px}; the shorter side of a kept photo is 1 pixel or more.")
    if request.keep == "gpu" and accelerator.device.type == "cpu":
        raise UsageError("--keep gpu: this run has no GPU; give --keep memory or disk.")


def _keep(request: Request, source: Source, accelerator: Accelerator) -> DecodedPhotos | None:
    """The decoded photos, if they are to be kept; of a machine's processes the first fills the disk for all."""
    if request.keep == "no":
        return None
    turns = accelerator.local_main_process_first() if request.keep == "disk" else nullcontext()
    with turns:
        return decode_photos(source, request.keep, short_px=request.keep_px, workers=request.workers)


def _accelerator(device: str, arithmetic: str) -> Accelerator:
    """Accelerate keeps its settings for the whole process; a second run in it may want others."""
    AcceleratorState._reset_state()
    torch.backends.cudnn.deterministic = True
    return Accelerator(cpu=device == "cpu", mixed_precision={"fp32": "no"}.get(arithmetic, arithmetic))
