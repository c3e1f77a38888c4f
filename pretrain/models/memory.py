"""What a method remembers beside its network, and the contract by which the training loop asks all of it alike.

A recipe names its memories by value, as plans: `Queue`, `Bank`, `Prototypes`, `Clusters`, `KeyNetwork`, `Target`. A
plan builds the memory that does the work. Each has a file of its own here; a further one is a further file.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from ...hub.errors import UsageError
from .across_processes import ALONE, Processes
from .networks import TrainedNetwork

Kind = TypeVar("Kind")
State = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """What goes through the network at once: a batch, or with --accumulate a part of it.

    samples: (N,), int64: this process's images, by their position in the data.
    number: of all parts so far; what a memory draws comes from (seed, number).
    epoch: epochs done, with the share of the one under way.
    """

    samples: Tensor
    number: int
    seed: int
    epoch: float
    processes: Processes = ALONE

    def samples_of_all(self) -> Tensor:
        """(B,) of all processes, rank by rank."""
        return self.processes.gather(self.samples)


@dataclass(frozen=True)
class Update:
    """A step whose weights have just moved.

    done: share of the run that was over before it, 0-1.
    keys: what the objective gave to remember, of the whole batch (see `Step.keys`).
    parts: of the batch, in their order.
    """

    done: float
    keys: Tensor | None
    parts: Sequence[Part]


class Known:
    """What an objective is given beside the views: from each memory at most one value, found by its class."""

    def __init__(self, *values: object | None):
        self._values = {type(value): value for value in values if value is not None}

    def get(self, kind: type[Kind]) -> Kind | None:
        """The value of a class; None where no memory gives one, or not yet."""
        value = self._values.get(kind)
        return value if isinstance(value, kind) else None

    def __getitem__(self, kind: type[Kind]) -> Kind:
        """The value of a class.

        Raises:
            UsageError: no memory gives one.
        """
        value = self.get(kind)
        if value is None:
            raise UsageError(
                f"The objective asks for {kind.__name__}, which no memory of this recipe gives; "
                "name the memory in the objective's `needs` and in the recipe."
            )
        return value


class Memory:
    """One thing that a run remembers. A subclass says what concerns it; whatever it leaves out does nothing."""

    def known(self, part: Part) -> object | None:
        """Before the forward pass: a value for the objective, of a class of its own; None for nothing."""
        return None

    def before_update(self, epoch: float) -> None:
        """The gradients are there, the weights have not moved yet. `epoch`: as in `Part`."""

    def after_update(self, update: Update) -> None:
        """The weights have moved."""

    def state(self) -> State | None:
        """For the checkpoint; None where there is nothing to save."""
        return None

    def restore(self, state: State) -> None:
        """As it was when `state` was taken.

        Raises:
            RuntimeError: the state is of another shape.
        """

    def inherit(self, state: State | None) -> None:
        """Start a new run from what another one remembered; None where that had no such memory.

        Raises:
            RuntimeError: the state is of another shape, and the memory cannot start anew.
        """


@dataclass(frozen=True)
class Context:
    """What a plan builds its memory for: the network, the number of images in the data, the run's seed and device."""

    network: TrainedNetwork
    images: int
    dim: int
    seed: int
    device: torch.device
    processes: Processes = ALONE
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext


class Plan(Protocol):
    """A memory as a recipe names it: a frozen dataclass."""

    def build(self, context: Context) -> Memory:
        """The memory at the start of a run."""
        ...
