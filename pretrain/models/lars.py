"""Layer-wise adaptive SGD (LARS) as the TPU codes have it; torch has none, timm's differs in the two points below."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor


class LayerwiseSgd(torch.optim.Optimizer):
    """SGD with momentum in which every matrix moves by a share of its own length.

    The gradient with its weight decay, g' = g + weight_decay * w, is scaled to trust * |w| / |g'|; where either length
    is zero it stays as it is. Vectors (biases, batch norms) are neither decayed nor scaled. timm's LARS divides by
    |g| + weight_decay * |w| instead and always multiplies momentum by the present rate.

    Args:
        params: parameters, not groups.
        remembers: whether momentum averages steps, v <- m v + lr g', or gradients, v <- m v + g' (see `Lars`).

    Source: You et al. 2017 (arXiv:1708.03888) as in google-research/simclr, lars_optimizer.py.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        *,
        lr: float,
        momentum: float,
        weight_decay: float,
        trust: float,
        remembers: Literal["steps", "gradients"],
    ):
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust}
        super().__init__(params, defaults | {"remembers": remembers})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        assert closure is None, "closures are not supported"
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, group)

    def _move(self, weight: Tensor, group: dict[str, Any]) -> None:
        update = weight.grad if weight.ndim <= 1 else _scaled(weight, group["weight_decay"], group["trust"])
        inside, outside = (group["lr"], 1.0) if group["remembers"] == "steps" else (1.0, group["lr"])
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        buffer = state["momentum_buffer"].mul_(group["momentum"]).add_(update, alpha=inside)
        weight.sub_(buffer, alpha=outside)


def _scaled(weight: Tensor, weight_decay: float, trust: float) -> Tensor:
    update = weight.grad.add(weight, alpha=weight_decay)  # type: ignore[union-attr]
    length, step = weight.norm(), update.norm()
    ratio = torch.where((length > 0) & (step > 0), trust * length / step, 1.0)
    return update * ratio
