"""What processes share: gathered embeddings whose gradient flows back, work on all images."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather


@dataclass(frozen=True)
class Processes:
    """Which of the processes this one is, and how their rows come together.

    gather: rows (N, ...) of this process -> (B, ...) of all, rank by rank, without a gradient.
    """

    rank: int = 0
    world: int = 1
    gather: Callable[[Tensor], Tensor] = lambda rows: rows


ALONE = Processes()


def gather_with_gradient(rows: Tensor) -> Tensor:
    """(N, ...) of each process -> (B, ...) of all, in the order of their ranks.

    The gradient of a row is the sum of what all processes' losses say of it; with the mean that distributed training
    takes of the weights' gradients, that is the gradient of the mean loss.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return rows
    return torch.cat(all_gather(rows))


@contextmanager
def patient_gather() -> Iterator[Callable[[Any], list[Any]]]:
    """A function for the block: every process's value, in the order of their ranks, though they be hours apart.

    NCCL, and every wait on it, gives up after ten minutes; this one waits for a week, over connections of its own. All
    processes enter the block at about the same time. Whoever then ends breaks its connections, which ends the others.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        yield lambda value: [value]
        return
    group: Any = dist.new_group(backend="gloo", timeout=timedelta(days=7))

    def gather(value: Any) -> list[Any]:
        values: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(values, value, group=group)
        return values

    gather(None)  # connections are made at their first use
    try:
        yield gather
    finally:
        dist.destroy_process_group(group)


def share_of(count: int, rank: int, world: int) -> Tensor:
    """Which of `count` rows one of several processes works on: consecutive ones, as many in each process.

    What the last ones lack are the first rows again: gathered rank by rank, the first `count` results are those of all.
    """
    size = -(-count // world)
    return torch.arange(rank * size, (rank + 1) * size) % count
