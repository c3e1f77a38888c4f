"""Layer-wise adaptive SGD (LARS) as the TPU codes have it; torch has none, timm's differs in the two points below."""

from collections.abc import Callable, Iterable, Sequence
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
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._move(weights, group)

    def _move(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        """All of them together: a few launches on a GPU, where one at a time would be a thousand."""
        updates = _updates(weights, group["weight_decay"], group["trust"])
        inside, outside = (group["lr"], 1.0) if group["remembers"] == "steps" else (1.0, group["lr"])
        buffers = [self._buffer(weight) for weight in weights]
        torch._foreach_mul_(buffers, group["momentum"])
        torch._foreach_add_(buffers, updates, alpha=inside)
        torch._foreach_sub_(weights, buffers, alpha=outside)

    def _buffer(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        buffer: Tensor = state["momentum_buffer"]
        return buffer


def _updates(weights: list[Tensor], weight_decay: float, trust: float) -> list[Tensor]:
    """What each momentum is given: a vector's gradient as it is, a matrix's decayed and scaled."""
    updates = [weight.grad for weight in weights if weight.grad is not None]
    places = [place for place, weight in enumerate(weights) if weight.ndim > 1]
    matrices, gradients = [weights[place] for place in places], [updates[place] for place in places]
    for place, update in zip(places, _scaled(matrices, gradients, weight_decay, trust), strict=True):
        updates[place] = update
    return updates


def _scaled(weights: list[Tensor], gradients: list[Tensor], weight_decay: float, trust: float) -> Sequence[Tensor]:
    if not weights:
        return []
    updates = torch._foreach_add(gradients, weights, alpha=weight_decay)
    length, step = (torch.stack([*torch._foreach_norm(tensors)]) for tensors in (weights, updates))
    ratio = torch.where((length > 0) & (step > 0), trust * length / step, 1.0)
    return torch._foreach_mul(updates, [*ratio.unbind()])
