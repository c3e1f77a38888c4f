"""Several processes that train one detector together, through torch.distributed; one process alone is the same code."""

import warnings

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ...hub.errors import UsageError
from ..training_state import Row


def rank_and_world() -> tuple[int, int]:
    """Which process this is, of how many."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def share_gradients(network: nn.Module) -> nn.Module:
    """The network wrapped so that all processes take the same steps; `network` itself where there is one process."""
    _, world = rank_and_world()
    if world == 1:
        return network
    device = next(network.parameters()).device
    device_ids = [device.index] if device.type == "cuda" else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`broadcast_buffers`", FutureWarning)  # its successor is too new
        return DistributedDataParallel(network, device_ids=device_ids, broadcast_buffers=False)


def mean_over_processes(row: Row, device: torch.device) -> Row:
    """The mean of each value over all processes, which must have the same keys."""
    _, world = rank_and_world()
    if world == 1:
        return row
    values = torch.tensor(list(row.values()), dtype=torch.float64, device=device)
    dist.all_reduce(values)
    return dict(zip(row, (values / world).tolist()))


def check_processes(processes: int, device: torch.device) -> None:
    """Raises UsageError where so many processes cannot train on `device`."""
    gpus = torch.cuda.device_count()
    if processes > 1 and device.type == "cuda" and processes > gpus:
        raise UsageError(f"{processes} processes need a GPU each; torch sees {gpus}.")
    if processes > 1 and device.type == "cpu" and gpus:
        raise UsageError(
            "Several processes train on the CPU only where torch sees no GPU: set CUDA_VISIBLE_DEVICES=''."
        )
