"""Batch norm over the images of all processes, as one process with the whole batch has it."""

from typing import Any

import torch
import torch.distributed as dist
from timm.layers import BatchNormAct2d, convert_sync_batchnorm  # type: ignore[attr-defined]
from torch import Tensor, nn


def share_batch_norm(network: nn.Module, device: torch.device) -> None:
    """Make every batch norm in a network take its statistics over the images of all processes; changes it in place.

    On GPUs by torch's SyncBatchNorm; on CPUs, for which torch has none, by `SharedBatchNorm`.
    """
    if device.type != "cpu":
        convert_sync_batchnorm(network)
        return
    for module in network.modules():
        if isinstance(module, BatchNormAct2d):
            module.__class__ = SharedBatchNormAct  # type: ignore[assignment]
        elif type(module) in (nn.BatchNorm1d, nn.BatchNorm2d):
            module.__class__ = SharedBatchNorm


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """By two sums over all processes, which may hold different numbers of images, or none."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        dims = [dim for dim in range(input.ndim) if dim != 1]
        shape = (1, -1) + (1,) * (input.ndim - 2)
        wide = input.float() if input.dtype in (torch.bfloat16, torch.float16) else input
        own = wide.new_tensor([input.numel() // input.shape[1]])
        sums = sum_of_all(torch.cat([wide.sum(dims), own]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = wide - mean.view(shape)
        variance = sum_of_all(centred.square().sum(dims)) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        out: Tensor = centred * (torch.rsqrt(variance + self.eps) * self.weight).view(shape)
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


class _SumOfAll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _SumOfAll.forward(ctx, gradient)


def sum_of_all(values: Tensor) -> Tensor:
    """The sum over all processes; its gradient is that of the sum of all their losses."""
    total: Tensor = _SumOfAll.apply(values)
    return total


class ThenAct(nn.Module):
    """Before a batch norm among the bases of a class: timm's layer, which drops and activates too."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        out: Tensor = self.act(self.drop(super().forward(input)))
        return out


class SharedBatchNormAct(ThenAct, SharedBatchNorm):
    """`SharedBatchNorm` in timm's layer."""
