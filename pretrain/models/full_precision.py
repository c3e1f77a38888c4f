"""The precision in which losses are computed, whatever the networks run in: float32, or float64 where it is given."""

import torch
from torch import Tensor


def widen(values: Tensor) -> Tensor:
    """float16 and bfloat16 become float32; float32 and float64 stay as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
