"""Which arithmetic a run uses, and where bfloat16 pays."""

import logging
from typing import Literal

import torch

from ...hub.errors import UsageError
from ...hub.machine import multiplies_bf16
from ..options import Device, Precision

log = logging.getLogger(__name__)


def resolve_device(device: Device) -> str:
    """ "auto" is the GPU when there is one.

    Raises:
        UsageError: a GPU is asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: PyTorch finds no GPU here; leave the option out to train on the CPU.")
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def resolve_precision(precision: Precision, device: str) -> Literal["fp32", "bf16", "fp16"]:
    """ "auto" is bf16 where the hardware multiplies it, else fp32; never fp16, whose narrow range needs a loss scaler.

    Raises:
        UsageError: fp16 on a CPU.
    """
    if precision == "fp16" and device == "cpu":
        raise UsageError("--precision fp16 needs a GPU; on a CPU use bf16 or fp32.")
    if precision != "auto":
        return precision
    if multiplies_bf16(device):
        return "bf16"
    if device == "cuda":
        log.info("this GPU does not multiply bf16, so precision auto is fp32; --precision fp16 is faster on it")
    return "fp32"
