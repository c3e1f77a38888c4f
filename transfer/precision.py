"""In which numbers a network computes: float32, as in published probes and fine-tuning, or bfloat16, which is faster.

Weights, classifier, loss and optimiser are float32 in either; what an encoder gives becomes float32 at once.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch
from torch import nn

from ..hub.machine import multiplies_bf16

Precision = Literal["auto", "fp32", "bf16"]


def resolve_precision(wanted: Precision, device: torch.device | str) -> Literal["fp32", "bf16"]:
    """ "auto" is bf16 where the hardware multiplies it, else fp32."""
    if wanted != "auto":
        return wanted
    return "bf16" if multiplies_bf16(torch.device(device).type) else "fp32"


def arithmetic(precision: Precision, device: torch.device | str) -> AbstractContextManager[object]:
    """What a network computes within the block, it computes in this precision."""
    return torch.autocast(torch.device(device).type, torch.bfloat16) if precision == "bf16" else nullcontext()


@contextmanager
def faster_layout(network: nn.Module, precision: Precision) -> Iterator[None]:
    """Within the block weights lie with channels last where that is faster: on GPUs, and in bf16.

    In float32 on a CPU they stay as they are, since the other order rounds otherwise.
    """
    if next(network.parameters()).device.type == "cpu" and precision != "bf16":
        yield
        return
    network.to(memory_format=torch.channels_last)
    try:
        yield
    finally:
        network.to(memory_format=torch.contiguous_format)
