"""The optimisers that recipes name, as values, and how each is made for a network."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from timm.optim import Lars as TimmLars  # type: ignore[attr-defined]
from torch import nn

from .lars import LayerwiseSgd


@dataclass(frozen=True)
class Sgd:
    """Plain SGD, no Nesterov; weight decay on every parameter, batch norm and biases included, as published."""

    lr: float
    momentum: float = 0.9
    weight_decay: float = 1e-4

    def build(self, network: nn.Module) -> torch.optim.Optimizer:
        """On a GPU in one launch for all parameters."""
        parameters = [*network.parameters()]
        is_fused = all(parameter.device.type == "cuda" for parameter in parameters)
        return torch.optim.SGD(
            parameters,
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            fused=is_fused or None,
        )


@dataclass(frozen=True)
class Lars:
    """LARS as SimCLR and BYOL have it: biases and batch norms (all vectors) neither decay nor get a rate of their own.

    trust: a matrix moves by lr times this share of its length at a step.
    remembers: what momentum averages. "steps", already multiplied by the learning rate (SimCLR), so that a change of
        rate reaches the next gradients only; or "gradients", which the present rate multiplies (BYOL, Barlow Twins).

    Source: google-research/simclr, lars_optimizer.py; google-deepmind/deepmind-research, byol/utils/optimizers.py.
    """

    lr: float
    momentum: float = 0.9
    weight_decay: float = 1e-6
    trust: float = 0.001
    remembers: Literal["steps", "gradients"] = "steps"

    def build(self, network: nn.Module) -> torch.optim.Optimizer:
        return LayerwiseSgd(
            network.parameters(),
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            trust=self.trust,
            remembers=self.remembers,
        )


@dataclass(frozen=True)
class Larc:
    """SGD behind apex's LARC without clipping, as SwAV has it: every parameter decays and gets a rate of its own.

    Computed by timm: the length of a step is trust * |w| / (|g| + weight_decay * |w|) times lr.
    """

    lr: float
    momentum: float = 0.9
    weight_decay: float = 1e-6
    trust: float = 0.001

    def build(self, network: nn.Module) -> torch.optim.Optimizer:
        return TimmLars(
            network.parameters(),
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            trust_coeff=self.trust,
            always_adapt=True,
        )


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay, on matrices and convolutions only."""

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.05

    def build(self, network: nn.Module) -> torch.optim.Optimizer:
        matrices = [weight for weight in network.parameters() if weight.ndim > 1]
        vectors = [weight for weight in network.parameters() if weight.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay)


Optimizer = Sgd | Lars | Larc | AdamW
