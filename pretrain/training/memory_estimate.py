"""How much memory a training step takes, known before the first one: it is rehearsed on tensors without content.

The network runs forward as in the run, on the batch's shapes, and what it keeps for the backward pass is counted. That
takes a second or two, whatever the batch. On a GPU the true peak is some per cent higher: convolutions want room to
work in, and freed memory lies in pieces.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from ...hub.encoder import Encoder
from ..models.ema import EmaPair
from ..models.memory import Context, Known, Memory, Part
from ..models.networks import TrainedNetwork
from ..models.optimizers import AdamW
from ..models.small_convolutions import as_plain
from ..objective import Networks, Orders
from ..recipe import Recipe
from ..views.operations import cut_of
from ..views.view import View
from .activations import count_activations
from .build import build_memories, build_trained_network

_CPU = torch.device("cpu")
_ROOM = 0.9  # share of the free memory that an estimate may fill


@dataclass(frozen=True)
class StepMemory:
    """Bytes that a step takes in one process.

    images: of one process, in a step.
    activations: what a forward pass of all of them keeps for the backward pass.
    views: all of them, as the network is given them.
    state: weights, gradients, the optimiser's sums, the EMA copy and other memories, whatever the number of images.
    """

    images: int
    activations: int
    views: int
    state: int

    def needed(self, accumulate: int) -> int:
        """With the images cut into so many parts."""
        return self.state + (self.activations + self.views) // accumulate

    def smallest_accumulate(self, free: int, above: int = 0) -> int | None:
        """The smallest --accumulate, more than `above`, with which a step fits into `free` bytes; None if none does."""
        parts = (count for count in range(above + 1, self.images // 2 + 1) if self.images % count == 0)
        return next((count for count in parts if self.needed(count) <= _ROOM * free), None)


def estimate_step(
    recipe: Recipe, precision: str, *, images: int, world: int = 1, start: Encoder | None = None
) -> StepMemory:
    """What a step of a recipe takes in each of `world` processes, on data of `images` photos.

    Args:
        start: the encoder of --init.
    """
    share, labels = recipe.batch_size // world, np.zeros(images, np.int64)
    part = Part(torch.zeros(share, dtype=torch.int64), 0, 0, float(recipe.epochs))
    network = build_trained_network(recipe, 0, _CPU, start=start).train()
    as_plain(network)
    context = Context(network, images, recipe.dim, 0, _CPU, autocast=lambda: _autocast(precision))
    pair = None if recipe.slow is None else recipe.slow.build(context)
    with torch.random.fork_rng(devices=[]), FakeTensorMode(allow_non_fake_inputs=True):
        memories = [*build_memories(replace(recipe, slow=None), context, labels).values()]
        views = empty_views(recipe, share)
        orders = Orders(torch.arange(share), torch.zeros(share, recipe.objective.patches, dtype=torch.int64))
        with count_activations() as kept:
            known = Known(*(memory.known(part) for memory in memories))
            recipe.objective(_networks(network, pair, precision), known, views, orders)
        state = _state_bytes(recipe, network, memories if pair is None else [pair, *memories])
        return StepMemory(share, int(kept), _bytes(views.values()), state)


def _networks(network: TrainedNetwork, pair: EmaPair | None, precision: str) -> Networks:
    def query(*inputs: Any) -> Any:
        with _autocast(precision):
            return network(*inputs)

    return Networks(query) if pair is None else Networks(query, pair.keys)


def _autocast(precision: str) -> AbstractContextManager[object]:
    """Both half precisions take two bytes, and a CPU has bf16."""
    return nullcontext() if precision == "fp32" else torch.autocast("cpu", dtype=torch.bfloat16)


def empty_views(recipe: Recipe, images: int) -> dict[str, Tensor]:
    """Views as an objective is given them, of no content."""
    return {view.name: _empty(view, images) for view in recipe.views}


def _empty(view: View, images: int) -> Tensor:
    cut = cut_of(view)
    if cut is None:
        return torch.empty(images, 3, view.crop.px, view.crop.px)
    return torch.empty(images, cut.grid**2, 3, cut.patch_px, cut.patch_px)


def _state_bytes(recipe: Recipe, network: TrainedNetwork, memories: Sequence[Memory]) -> int:
    weights = _bytes(network.parameters())
    sums = 2 if isinstance(recipe.optimizer, AdamW) else 1
    remembered = [value for memory in memories for value in (memory.state() or {}).values()]
    return weights * (2 + sums) + _bytes(value for value in remembered if isinstance(value, Tensor))


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
