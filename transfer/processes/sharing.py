"""What the processes of one training share, through torch.distributed; one process alone is the same code."""

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ...hub import shared_batch_norm
from ..training_state import Row

Value = TypeVar("Value")


def rank_and_world() -> tuple[int, int]:
    """Which process this is, of how many."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def share_gradients(network: nn.Module) -> nn.Module:
    """The network wrapped so that all processes take the same steps; `network` itself where there is one process.

    The weights of the first process replace those of the others.
    """
    _, world = rank_and_world()
    if world == 1:
        return network
    device = next(network.parameters()).device
    device_ids = [device.index] if device.type == "cuda" else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`broadcast_buffers`", FutureWarning)  # its successor is too new
        return DistributedDataParallel(network, device_ids=device_ids, broadcast_buffers=False)


def share_batch_norm(network: nn.Module) -> None:
    """Makes every batch norm take its statistics over the images of all processes; in place."""
    _, world = rank_and_world()
    if world > 1:
        shared_batch_norm.share_batch_norm(network, next(network.parameters()).device)


def mean_over_processes(row: Row, device: torch.device) -> Row:
    """The mean of each value over all processes, which must have the same keys."""
    _, world = rank_and_world()
    if world == 1:
        return row
    values = torch.tensor(list(row.values()), dtype=torch.float64, device=device)
    dist.all_reduce(values)
    return dict(zip(row, (values / world).tolist()))


def sum_over_processes(*numbers: float) -> list[float]:
    """The sum of each number over all processes."""
    _, world = rank_and_world()
    if world == 1:
        return list(numbers)
    values = torch.tensor(numbers, dtype=torch.float64)
    dist.all_reduce(values)
    return values.tolist()


def gather(value: Value) -> list[Value]:
    """Every process's value, in the order of their ranks, in the first process; an empty list in the others."""
    rank, world = rank_and_world()
    if world == 1:
        return [value]
    values: list[Any] = [None] * world
    dist.gather_object(value, None if rank else values)
    return [] if rank else values


def gather_everywhere(value: Value) -> list[Value]:
    """Every process's value, in the order of their ranks, in all processes."""
    _, world = rank_and_world()
    values: list[Any] = [value] * world
    if world > 1:
        dist.all_gather_object(values, value)
    return values


def value_of_first(make: Callable[[], Value]) -> Value:
    """What `make` gives in the first process, which alone calls it, in all."""
    rank, world = rank_and_world()
    values: list[Any] = [None if rank else make()]
    if world > 1:
        dist.broadcast_object_list(values)
    value: Value = values[0]
    return value
