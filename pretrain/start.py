"""How a run starts: everything is checked, then the RUN folder is claimed, then the parts are built and put back.

What a started run does is in the loop.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from . import checkpoint, run_folder
from .checkpoint import RunState
from .data import ViewLoader, open_images
from .momentum import KeyQueue, MomentumPair
from .monitor import Monitor, Progress
from .networks import build_network
from .objective import Networks
from .online_knn import OnlineKnn
from .precision import Device, Precision, resolve_device, resolve_precision
from .recipe import Recipe, describe, validate

log = logging.getLogger(__name__)


@dataclass
class Run:
    """A run in memory: what was asked for, and the parts that work on it."""

    recipe: Recipe
    out: Path
    seed: int
    save_every: int | None
    data: dict
    accelerator: Accelerator
    loader: ViewLoader
    networks: Networks
    optimizer: torch.optim.Optimizer
    state: RunState
    monitor: Monitor
    gauge: tuple[OnlineKnn, int] | None = None
    saved_at: float = 0.0

    @property
    def steps(self) -> int:
        return self.recipe.epochs * self.loader.steps_per_epoch

    @property
    def epoch(self) -> float:
        """Epochs done, with the share of the one under way."""
        return self.state.step / self.loader.steps_per_epoch


def prepare(
    recipe: Recipe,
    data: Path,
    out: Path,
    seed: int,
    workers: int,
    device: Device,
    precision: Precision,
    resume: bool,
    overwrite: bool,
    save_every: int | None,
    observe: Callable[[Progress], None],
) -> Run:
    """Check everything, then claim the RUN folder, then build the parts and put a checkpoint back into them."""
    processor = resolve_device(device)
    arithmetic = resolve_precision(precision, processor)
    accelerator = _accelerator(processor, arithmetic)
    rank, world = accelerator.process_index, accelerator.num_processes
    source = open_images(data)
    description = run_folder.describe_data(source)
    validate(recipe, images=len(source), world=world)
    if recipe.queue >= len(source) and accelerator.is_main_process:
        log.warning(
            "the queue (%d keys) is not smaller than the data (%d images): images meet their own old keys as negatives",
            recipe.queue,
            len(source),
        )
    identity = run_folder.Identity(describe(recipe), description, seed, arithmetic)
    run_folder.check(out, identity, resume=resume, overwrite=overwrite)
    network = build_network(
        recipe.architecture,
        head=recipe.head,
        dim=recipe.dim,
        patches=recipe.objective.patches,
        seed=seed,
        zero_init_last=recipe.zero_init_last,
    ).to(accelerator.device)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process and not resume:
        run_folder.begin(out, identity)

    pair = MomentumPair(network, momentum=recipe.key_momentum, group=recipe.key_group)
    sgd = torch.optim.SGD(network.parameters(), **vars(recipe.optimizer))
    query, optimizer = accelerator.prepare(network, sgd)
    query.train()
    keys = partial(pair.keys, rank=rank, gather=accelerator.gather, autocast=accelerator.autocast)
    state = RunState(
        pair, KeyQueue(recipe.queue, recipe.dim, seed=seed, device=accelerator.device), sgd, accelerator.scaler
    )
    loader = ViewLoader(
        source,
        recipe.views,
        batch_size=recipe.batch_size,
        seed=seed,
        workers=workers,
        rank=rank,
        world=world,
        device=accelerator.device,
    )
    monitor = Monitor(
        out if accelerator.is_main_process else None,
        steps=recipe.epochs * loader.steps_per_epoch,
        reduce=partial(accelerator.reduce, reduction="mean"),
        observe=observe,
    )
    if resume:
        monitor.restore(checkpoint.load(state, out / "state"), state.step, accelerator.device)
    return Run(
        recipe,
        out,
        seed,
        save_every,
        description,
        accelerator,
        loader,
        Networks(query, keys),
        optimizer,
        state,
        monitor,
    )


def _accelerator(device: str, arithmetic: str) -> Accelerator:
    """Accelerate keeps its settings for the whole process; a second run in it may want others."""
    AcceleratorState._reset_state()
    torch.backends.cudnn.deterministic = True
    return Accelerator(cpu=device == "cpu", mixed_precision={"fp32": "no"}.get(arithmetic, arithmetic))
