"""What an objective is: a pure function of networks, memories and views. Only the training loop changes things."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from .models.ema import Keys
from .models.memory import Known
from .randomness import step_seed


@dataclass(frozen=True)
class Step:
    """What an objective returns for one batch.

    loss: scalar; what is minimised.
    losses: its terms by name, before any weight, so that each can be held against its own chance level.
    keys: what the memories store of the whole batch, over all processes: (B, D), or D for each part of a queue's row
        or for each bank, side by side. None where nothing is stored.
    metrics: scalars worth a line in metrics.jsonl that are not part of the loss.
    """

    loss: Tensor
    losses: Mapping[str, Tensor]
    keys: Tensor | None = None
    metrics: Mapping[str, Tensor] = field(default_factory=dict)


def join(parts: Sequence[Step]) -> Step:
    """One step of the parts of a batch, which are of one size: means of their losses, keys one part after another."""
    if len(parts) == 1:
        return parts[0]
    means = [
        {name: torch.stack([values[name].detach() for values in each]).mean() for name in each[0]}
        for each in ([part.losses for part in parts], [part.metrics for part in parts])
    ]
    keys = [part.keys for part in parts if part.keys is not None]
    return Step(
        torch.stack([part.loss for part in parts]).mean(), means[0], torch.cat(keys) if keys else None, means[1]
    )


@dataclass(frozen=True)
class Orders:
    """The random orders of one step.

    keys: (B,) in which order the images of all processes meet in the key network's batch norm.
    patches: (N, P) in which order the patches of each of this process's images reach the jigsaw head.
    """

    keys: Tensor
    patches: Tensor

    def to(self, device: torch.device) -> "Orders":
        """On a device; the CPU does not wait for it."""
        return Orders(*(order.to(device, non_blocking=True) for order in (self.keys, self.patches)))


def _no_keys(images: Tensor, order: Tensor) -> Keys:
    raise AssertionError("the recipe has no EMA copy of the network to make keys with")


@dataclass(frozen=True)
class Networks:
    """The networks as an objective sees them.

    query: the trained network; called once a step. For most: sets of crops, each (N, 3, H, W) -> as many (N, D), and
        None; with patches (N, P, 3, h, w) and their order the jigsaw embedding in its place.
    keys: of the EMA copy, if there is one: images and the order of `Orders.keys`, which a `Target` ignores, -> Keys.
    everyone: rows of this process -> those of all, rank by rank; the gradient flows back.
    rank: which of the processes this one is.
    """

    query: Callable[..., Any]
    keys: Callable[[Tensor, Tensor], Keys] = _no_keys
    everyone: Callable[[Tensor], Tensor] = lambda rows: rows
    rank: int = 0


class Objective(Protocol):
    """A frozen dataclass that knows what it needs, and a step's loss.

    patches: how many its jigsaw head takes, 0 without one.
    needs: plans of the memories that the recipe must have for it, by their classes (see `models.memory`).

    It may also have `parts`, how many embeddings of an image lie side by side in its queue or in as many banks, and
    `branches`, how many backbones it compares; without them both are 1.
    """

    patches: ClassVar[int]
    needs: ClassVar[tuple[type, ...]]

    @property
    def view_names(self) -> tuple[str, ...]: ...

    def __call__(self, networks: Networks, known: Known, views: Mapping[str, Tensor], orders: Orders, /) -> Step:
        """The step's loss.

        Args:
            known: what the recipe's memories tell of this batch, by class: `known[QueueRows].rows` and the like.
        """
        ...


def draw_orders(seed: int, step: int, *, batch: int, patches: int, rank: int = 0, world: int = 1) -> Orders:
    """The orders of a step, from (seed, step) alone: drawn for the whole batch, then this process's share taken."""
    generator = torch.Generator().manual_seed(step_seed(seed, step))
    keys = torch.randperm(batch, generator=generator)
    orders = torch.rand(batch, patches, generator=generator).argsort(dim=1)
    share = batch // world
    return Orders(keys, orders[rank * share : (rank + 1) * share])
