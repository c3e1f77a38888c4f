"""The parts of a run that learn or remember, built as the recipe says."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray

from ..models.across_processes import Processes, gather_with_gradient, share_batch_norm
from ..models.ema import EmaPair
from ..models.labels import LabelledData
from ..models.memory import Context, Memory, Plan
from ..models.networks import TrainedNetwork, build_network, build_prototype_network, build_two_branch_network
from ..models.prototypes import Prototypes
from ..objective import Networks
from ..recipe import Recipe
from .checkpoint import RunState


@dataclass(frozen=True)
class Parts:
    """What objectives see of the networks; the optimiser as accelerate drives it; all that changes."""

    networks: Networks
    optimizer: torch.optim.Optimizer
    state: RunState


def build_trained_network(recipe: Recipe, seed: int, device: torch.device, *, world: int = 1) -> TrainedNetwork:
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


def assemble(
    recipe: Recipe,
    network: TrainedNetwork,
    accelerator: Accelerator,
    *,
    processes: Processes,
    images: int,
    seed: int,
    labels: NDArray[np.int64] | None = None,
) -> Parts:
    """Optimiser and memories for a network; `images` is how many the data has, `labels` their classes."""
    raw = recipe.optimizer.build(network)
    context = Context(network, images, recipe.dim, seed, accelerator.device, processes, accelerator.autocast)
    memories = _memories(recipe, context, labels)
    trained, optimizer = accelerator.prepare(network, raw)
    trained.train()
    state = RunState(network, memories, raw, accelerator.scaler)
    networks = Networks(trained, everyone=gather_with_gradient, rank=processes.rank)
    pair = state.memory(EmaPair)
    if pair is not None:
        networks = Networks(trained, pair.keys, gather_with_gradient, processes.rank)
    return Parts(networks, optimizer, state)


def _memories(recipe: Recipe, context: Context, labels: NDArray[np.int64] | None) -> dict[str, Memory]:
    """By their names in a checkpoint, in the order in which they follow a step."""
    plans: dict[str, Plan | None] = {"clusters": recipe.prototypes, "key": recipe.slow, "memory": recipe.memory}
    memories = {name: plan.build(context) for name, plan in plans.items() if plan is not None}
    if recipe.head == "classifier":
        assert labels is not None, "the recipe's checks refuse it"
        memories["labels"] = LabelledData(labels, context.device)
    return memories
