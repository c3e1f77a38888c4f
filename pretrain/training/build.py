"""The parts of a run that learn or remember, built as the recipe says."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator

from ..models.across_processes import gather_with_gradient, share_batch_norm
from ..models.clusters import ImageClusters
from ..models.ema import KeyQueue, MomentumPair
from ..models.memories import Clusters, KeyNetwork, Prototypes, Queue
from ..models.memory_bank import MemoryBank
from ..models.networks import (
    PrototypeNetwork,
    TrainedNetwork,
    build_network,
    build_prototype_network,
    build_two_branch_network,
)
from ..objective import Networks
from ..recipe import Recipe
from .checkpoint import RunState


@dataclass(frozen=True)
class Parts:
    """What objectives see of the networks; the optimiser as accelerate drives it; all that changes."""

    networks: Networks
    optimizer: torch.optim.Optimizer
    state: RunState


def build(recipe: Recipe, seed: int, device: torch.device, *, world: int = 1) -> TrainedNetwork:
    """The network that is to be trained, with weights from the seed.

    Raises:
        UsageError: timm does not know the architecture, or cannot make it of this width.
    """
    common: dict[str, Any] = {"dim": recipe.dim, "seed": seed}
    common |= {"width": recipe.width, "zero_init_last": recipe.zero_init_last}
    network: TrainedNetwork
    if isinstance(recipe.prototypes, Prototypes):
        network = build_prototype_network(recipe.architecture, prototypes=recipe.prototypes.count, **common)
    elif recipe.branches == 2:
        network = build_two_branch_network(recipe.architecture, head=recipe.head, **common)
    else:
        patches = recipe.objective.patches
        network = build_network(recipe.architecture, head=recipe.head, patches=patches, **common)
    network = network.to(device)
    if recipe.batch_norm == "shared" and world > 1:
        share_batch_norm(network, device)
    return network


def assemble(recipe: Recipe, network: TrainedNetwork, accelerator: Accelerator, *, images: int, seed: int) -> Parts:
    """Optimiser, slow copy and memory for a network; `images` is how many the data has."""
    raw = recipe.optimizer.build(network)
    pair = _slow_copy(recipe, network)
    trained, optimizer = accelerator.prepare(network, raw)
    trained.train()
    memory = _memory(recipe, images, seed, accelerator.device)
    clusters = ImageClusters() if isinstance(recipe.prototypes, Clusters) else None
    state = RunState(network, pair, memory, raw, accelerator.scaler, clusters)
    networks = Networks(trained, everyone=gather_with_gradient, rank=accelerator.process_index)
    if pair is not None:
        encode = pair.keys if isinstance(recipe.slow, KeyNetwork) else pair.targets
        keys = partial(encode, rank=networks.rank, gather=accelerator.gather, autocast=accelerator.autocast)
        networks = Networks(trained, keys, gather_with_gradient, accelerator.process_index)
    return Parts(networks, optimizer, state)


def _slow_copy(recipe: Recipe, network: TrainedNetwork) -> MomentumPair | None:
    if recipe.slow is None:
        return None
    assert not isinstance(network, PrototypeNetwork)
    group = recipe.slow.group if isinstance(recipe.slow, KeyNetwork) else recipe.batch_size
    return MomentumPair(network, momentum=recipe.slow.momentum, group=group)


def _memory(recipe: Recipe, images: int, seed: int, device: torch.device) -> KeyQueue | MemoryBank | None:
    memory = recipe.memory
    if memory is None:
        return None
    if isinstance(memory, Queue):
        return KeyQueue(memory.size, recipe.dim, parts=memory.parts, seed=seed, device=device)
    return MemoryBank(images, recipe.dim, momentum=memory.momentum, banks=memory.banks, seed=seed, device=device)
