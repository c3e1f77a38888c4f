"""A new linear classifier, initialised as the published probes do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn

Initial = Literal["default", "normal", "zeros"]  # PyTorch's own, normal with deviation 0.01 and bias 0, or zeros


def new_layer(inputs: int, outputs: int, initial: Initial, seed: int) -> nn.Linear:
    """A linear layer whose weights come from `seed` alone."""
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = nn.Linear(inputs, outputs)
        if initial == "normal":
            nn.init.normal_(layer.weight, std=0.01)
    if initial == "zeros":
        nn.init.zeros_(layer.weight)
    if initial != "default":
        nn.init.zeros_(layer.bias)
    return layer
