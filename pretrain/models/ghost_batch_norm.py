"""Ghost batch norm: statistics over small groups of a batch, as if each group lay on a GPU of its own."""

from typing import cast

import torch
from torch import Tensor, nn

from ...hub.shared_batch_norm import ThenAct


def normalize_in_groups(network: nn.Module, size: int) -> None:
    """Make every batch norm in a network take its statistics over groups of `size` images or some more.

    Changes the modules' class in place, those whose statistics processes share too; names and tensors stay. Everything
    else of the network then works on the whole batch at once, which is faster than group after group.

    Source: Hoffer, Hubara & Soudry 2017 (arXiv:1705.08741), "ghost batch normalization".
    """
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.__class__ = GhostBatchNormAct if hasattr(module, "act") else GhostBatchNorm
            cast(GhostBatchNorm, module).group = size


def split_into_groups(rows: Tensor, size: int) -> tuple[Tensor, ...]:
    """(N, ...) -> views of `size` rows or some more, never of one."""
    return rows.tensor_split(max(1, len(rows) // size))


class GhostBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Each group in turn, so that the running statistics follow them one after the other."""

    group: int

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        out = torch.empty_like(input)
        for group, place in zip(*(split_into_groups(rows, self.group) for rows in (input, out)), strict=True):
            place.copy_(super().forward(group))
        return out

    def _check_input_dim(self, input: Tensor) -> None:
        """Any that has channels second."""


class GhostBatchNormAct(ThenAct, GhostBatchNorm):
    """`GhostBatchNorm` in timm's layer."""
