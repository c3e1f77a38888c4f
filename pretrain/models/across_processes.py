"""What processes share: gathered embeddings whose gradient flows back, batch-norm statistics, work on all images."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from timm.layers import convert_sync_batchnorm  # type: ignore[attr-defined]
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather, all_reduce

from .full_precision import widen


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


def share_batch_norm(network: nn.Module, device: torch.device) -> None:
    """Make every batch norm in a network take its statistics over the images of all processes; changes it in place.

    On GPUs with torch's SyncBatchNorm; on CPUs, for which torch has none, with `SharedBatchNorm`.
    """
    if device.type != "cpu":
        convert_sync_batchnorm(network)
        return
    for module in network.modules():
        if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d):
            module.__class__ = SharedBatchNorm


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the images of all processes, by two sums over them; each process must hold as many images."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        dims = [dim for dim in range(input.ndim) if dim != 1]
        count = dist.get_world_size() * input.numel() // input.shape[1]
        shape = (1, -1) + (1,) * (input.ndim - 2)
        wide = widen(input)
        mean = all_reduce(wide.sum(dims)) / count
        centred = wide - mean.view(shape)
        variance = all_reduce(centred.square().sum(dims)) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        scale = torch.rsqrt(variance + self.eps) * self.weight
        out: Tensor = centred * scale.view(shape)
        return (out if self.bias is None else out + self.bias.view(shape)).to(input.dtype)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any that has channels second."""
