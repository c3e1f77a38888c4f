"""The parts of a run, built as its recipe and options say."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from numpy.typing import NDArray
from torch import Tensor

from ...hub.encoder import Encoder
from ...hub.errors import UsageError
from ...hub.flow import Flow, FlowPlan, load_generator
from ...hub.learned_stem import ARCHITECTURES as LEARNED
from ...hub.shared_batch_norm import share_batch_norm
from ...hub.sources.source import Source
from ..data.decoded_photos import DecodedPhotos
from ..data.device_crops import PhotosOnDevice
from ..data.loader import ViewLoader
from ..models.across_processes import Processes, gather_with_gradient
from ..models.ema import EmaPair
from ..models.labels import LabelledData
from ..models.memory import Context, Memory, Plan
from ..models.networks import (
    LearnedTwoBranchNetwork,
    TrainedNetwork,
    build_network,
    build_prototype_network,
    build_two_branch_network,
)
from ..models.prototypes import Prototypes
from ..models.queue import Queue
from ..objective import Networks
from ..options import Options
from ..recipe import Recipe
from .checkpoint import RunState
from .collapse import CollapseWatch
from .finite_loss import FiniteWatch
from .kept_photos import keep_photos
from .monitor import Monitor, Progress

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """What trains: the networks as objectives see them, the optimiser as accelerate drives it, all that changes."""

    networks: Networks
    optimizer: torch.optim.Optimizer
    state: RunState
    loader: ViewLoader
    processes: Processes
    device: torch.device


def build(
    recipe: Recipe, options: Options, source: Source, accelerator: Accelerator, *, start: Encoder | None = None
) -> Parts:
    """The parts of a run at its first step; with --keep, decodes the photos. `start` is the encoder of --init.

    Raises:
        UsageError: timm does not know the architecture, or cannot make it of this width; the decoded photos do not fit.
        DataError: no photo can be read.
    """
    device, processes = accelerator.device, _processes(accelerator)
    network = build_trained_network(recipe, options.seed, device, world=processes.world, start=start)
    loader = _loader(recipe, options, source, keep_photos(options, source, accelerator), processes, device)
    raw = recipe.optimizer.build(network)
    context = Context(network, len(source), recipe.dim, options.seed, device, processes, accelerator.autocast)
    memories = build_memories(recipe, context, source.labels)
    trained, optimizer = accelerator.prepare(network, raw)
    trained.train()
    state = RunState(network, memories, raw, accelerator.scaler)
    networks = _networks(trained, state.memory(EmaPair), processes)
    return Parts(networks, optimizer, state, loader, processes, device)


def build_accelerator(device: str, precision: str) -> Accelerator:
    """Accelerate keeps its settings for the whole process; a second run in it may want others."""
    AcceleratorState._reset_state()
    torch.backends.cudnn.deterministic = True
    return Accelerator(cpu=device == "cpu", mixed_precision={"fp32": "no"}.get(precision, precision))


def build_trained_network(
    recipe: Recipe, seed: int, device: torch.device, *, world: int = 1, start: Encoder | None = None
) -> TrainedNetwork:
    """The network that is to be trained, with weights from the seed; those of its backbone from `start`, if given.

    Raises:
        UsageError: timm does not know the architecture, or cannot make it of this width.
    """
    common: dict[str, Any] = {"dim": recipe.dim, "seed": seed}
    common |= {"width": recipe.width, "zero_init_last": recipe.zero_init_last}
    backbone = None if start is None else start.backbone
    network: TrainedNetwork
    if isinstance(recipe.prototypes, Prototypes):
        count = recipe.prototypes.count
        network = build_prototype_network(recipe.architecture, prototypes=count, start=backbone, **common)
    elif recipe.branches == 2:
        network = build_two_branch_network(recipe.architecture, head=recipe.head, **common)
        generator = _generator(recipe, seed)
        network = network if generator is None else LearnedTwoBranchNetwork(network, generator)
    else:
        patches = recipe.objective.patches
        network = build_network(recipe.architecture, head=recipe.head, patches=patches, start=backbone, **common)
    network = network.to(device)
    if recipe.batch_norm == "shared" and world > 1:
        share_batch_norm(network, device)
    return network


def _generator(recipe: Recipe, seed: int) -> Flow | None:
    """That of an objective on learned views; untrained, which gives the raw channels, where it names none.

    Raises:
        ArtifactError: the folder holds none.
        UsageError: no network can have the generator in its stem.
    """
    folder = getattr(recipe.objective, "generator", None)
    if folder is None:
        return None
    if recipe.architecture not in LEARNED:
        raise UsageError(f"{recipe.name} trains {' or '.join(LEARNED)}; {recipe.architecture} has no learned stem.")
    if folder:
        return load_generator(Path(folder))
    log.warning("%s names no generator, so it learns from raw channels; --set objective.generator=RUN", recipe.name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # its output needs no seed, but it is published too
        return Flow(FlowPlan())


def build_monitor(
    recipe: Recipe,
    options: Options,
    parts: Parts,
    accelerator: Accelerator,
    *,
    out: Path,
    observe: Callable[[Progress], None],
) -> tuple[FiniteWatch, Monitor]:
    """What watches the losses, and what writes them down; only the first process writes."""
    processes, state = parts.processes, parts.state
    total = partial(accelerator.reduce, reduction="sum")
    finite = FiniteWatch(out, rank=processes.rank, world=processes.world, total=total)
    queue = recipe.memory.size if isinstance(recipe.memory, Queue) else 0
    signals = CollapseWatch(
        state.network.head, classifies=recipe.head == "classifier", queue=queue, batch_size=recipe.batch_size
    )
    monitor = Monitor(
        out if accelerator.is_main_process else None,
        steps=recipe.epochs * (parts.loader.steps_per_epoch // options.accumulate),
        reduce=partial(accelerator.reduce, reduction="mean"),
        signals=signals,
        check=finite.check,
        observe=observe,
    )
    return finite, monitor


def _processes(accelerator: Accelerator) -> Processes:
    def gather(rows: Tensor) -> Tensor:
        gathered: Tensor = accelerator.gather(rows.to(accelerator.device, non_blocking=True))
        return gathered

    return Processes(accelerator.process_index, accelerator.num_processes, gather)


def _loader(
    recipe: Recipe,
    options: Options,
    source: Source,
    decoded: DecodedPhotos | None,
    processes: Processes,
    device: torch.device,
) -> ViewLoader:
    return ViewLoader(
        source,
        recipe.views,
        batch_size=recipe.batch_size // options.accumulate,
        seed=options.seed,
        workers=options.loader_processes,
        rank=processes.rank,
        world=processes.world,
        decoded=decoded,
        on_device=PhotosOnDevice(decoded, device) if decoded is not None and options.keep == "gpu" else None,
        device=device,
        exact_decode=options.exact_decode,
        epochs=recipe.epochs,
        compile=options.compile,
    )


def build_memories(recipe: Recipe, context: Context, labels: NDArray[np.int64] | None) -> dict[str, Memory]:
    """By their names in a checkpoint, in the order in which they follow a step."""
    plans: dict[str, Plan | None] = {"clusters": recipe.prototypes, "key": recipe.slow, "memory": recipe.memory}
    memories = {name: plan.build(context) for name, plan in plans.items() if plan is not None}
    if recipe.head == "classifier":
        assert labels is not None, "the recipe's checks refuse it"
        memories["labels"] = LabelledData(labels, context.device)
    return memories


def _networks(trained: Callable[..., Any], pair: EmaPair | None, processes: Processes) -> Networks:
    if pair is None:
        return Networks(trained, everyone=gather_with_gradient, rank=processes.rank)
    return Networks(trained, pair.keys, gather_with_gradient, processes.rank)
