"""What an objective is: a pure function of networks, negatives and views. Only the training loop changes anything."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from .momentum import Keys


@dataclass(frozen=True)
class Step:
    """What an objective returns for one batch.

    loss: scalar; what is minimised.
    losses: its terms by name, before any weight, so that each can be held against its own chance level.
    keys: (B, D) the keys of the whole batch, over all processes, for the queue.
    metrics: scalars worth a line in metrics.jsonl that are not part of the loss.
    """

    loss: Tensor
    losses: Mapping[str, Tensor]
    keys: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Orders:
    """The random orders of one step.

    keys: (B,) in which order the images of all processes meet in the key network's batch norm.
    patches: (N, P) in which order the patches of each of this process's images reach the jigsaw head.
    """

    keys: Tensor
    patches: Tensor


@dataclass(frozen=True)
class Networks:
    """The networks as an objective sees them.

    query: sets of crops, each (N, 3, H, W) -> as many (N, D), and None; with patches (N, P, 3, h, w) and their order
        the jigsaw embedding in its place. Called once a step.
    keys: images and the order of `Orders.keys` -> Keys.
    """

    query: Callable[..., tuple[list[Tensor], Tensor | None]]
    keys: Callable[[Tensor, Tensor], Keys]


class Objective(Protocol):
    """A frozen dataclass that knows which views it needs, how many patches its jigsaw head takes, and a step's loss."""

    patches: ClassVar[int]

    @property
    def view_names(self) -> tuple[str, ...]: ...

    def __call__(self, networks: Networks, negatives: Tensor, views: Mapping[str, Tensor], orders: Orders) -> Step: ...


def draw_orders(seed: int, step: int, *, batch: int, patches: int, rank: int = 0, world: int = 1) -> Orders:
    """The orders of a step, from (seed, step) alone: drawn for the whole batch, then this process's share taken."""
    generator = torch.Generator().manual_seed(step_seed(seed, step))
    keys = torch.randperm(batch, generator=generator)
    orders = torch.rand(batch, patches, generator=generator).argsort(dim=1)
    share = batch // world
    return Orders(keys, orders[rank * share : (rank + 1) * share])


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """A 63-bit seed from (seed, step, rank), mixed so that neighbouring steps draw unrelated numbers (splitmix64)."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + rank * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        mixed = ((mixed ^ (mixed >> shift)) * factor) & 0xFFFFFFFFFFFFFFFF
    return mixed >> 1
