"""Vectors of training images from an encoder that does not change, from one process or several of a machine.

With several, each reads and encodes its share of every batch, on a GPU of its own or all on the CPU. The command's own
process gets all vectors in the order of the batch and trains alone, so the result is that of one process but for the
rounding of smaller batches.
"""

import copy
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as processes_of
from torch import Tensor

from ...hub.encoder import Encoder
from ...hub.errors import GoodviewsError
from ..detection.processes import check_processes
from .training_images import TrainingImages, WorkerBatch

_ENDING_S = 10.0  # a process is gone later than its connection
MakeImages = Callable[..., TrainingImages]  # given `share` and `progress`; it is sent to other processes
Encoded = Iterator[tuple[Tensor, Tensor]]  # of each batch (n, F) vectors and (n,) positions of the images
_Share = tuple[list[int], Tensor | None, list[tuple[int, str]]]  # positions, their vectors, what could not be read


@contextmanager
def shared_encoding(
    encoder: Encoder, images: TrainingImages, make_images: MakeImages, processes: int
) -> Iterator[Callable[[int], Encoded]]:
    """Gives a function: epoch -> its batches, encoded. The other processes end with the block.

    Args:
        images: Of this process, of `make_images(share=(0, processes))`; notes what none of them could read.

    Raises:
        UsageError: there are fewer GPUs than processes.
        GoodviewsError: another process ended.
    """
    if processes == 1:
        yield lambda epoch: encode_epoch(encoder, images, epoch)
        return
    check_processes(processes, encoder.device)
    with tempfile.TemporaryDirectory() as folder:
        # A copy, since weights that are sent move into shared memory.
        start = (processes, copy.deepcopy(encoder).cpu(), encoder.device.type, make_images, Path(folder))
        others = processes_of.start_processes(  # type: ignore[attr-defined]
            _assist, start, processes - 1, join=False, daemon=True
        )
        try:
            _meet(0, processes, Path(folder))
            yield lambda epoch: _together(encoder, images, epoch, processes)
            dist.broadcast_object_list([None])
            others.join()
        except RuntimeError as error:
            gone = wait([one.sentinel for one in others.processes], timeout=_ENDING_S)
            ended = [number for number, one in enumerate(others.processes, start=1) if one.sentinel in gone]
            if not ended:
                raise
            raise GoodviewsError(f"Process {ended[0]} of those that encode images ended; it says why above.") from error
        finally:
            for process in others.processes:
                process.terminate()
            if dist.is_initialized():
                dist.destroy_process_group()


def encode_epoch(encoder: Encoder, images: TrainingImages, epoch: int) -> Encoded:
    """In one process."""
    for batch, positions in images.epoch(epoch):
        yield _encode(encoder, batch), positions


def _together(encoder: Encoder, images: TrainingImages, epoch: int, processes: int) -> Encoded:
    """In the first process."""
    dist.broadcast_object_list([epoch])
    place_in_epoch = images.places(epoch)
    for batch in images.batches(epoch):
        shares: list[Any] = [None] * processes
        dist.gather_object(_encode_share(encoder, batch), shares)
        images.note([problem for _, _, problems in shares for problem in problems])
        vectors = [vectors for _, vectors, _ in shares if vectors is not None]
        if vectors:
            positions = torch.tensor([position for some, _, _ in shares for position in some])
            order = place_in_epoch[positions].argsort()
            yield torch.cat(vectors)[order].to(encoder.device), positions[order]
    images.require_one()


def _assist(rank: int, world: int, encoder: Encoder, device: str, make_images: MakeImages, folder: Path) -> None:
    """Another process: encodes its share of the epochs that the first one names."""
    rank += 1  # the first one is the command's own
    _meet(rank, world, folder)
    encoder = encoder.to(f"{device}:{rank}" if device == "cuda" else device).eval()
    images = make_images(share=(rank, world), progress=False)
    while True:
        message: list[Any] = [None]
        dist.broadcast_object_list(message)
        if message[0] is None:
            return
        for batch in images.batches(message[0]):
            dist.gather_object(_encode_share(encoder, batch))


def _meet(rank: int, world: int, folder: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=world)


def _encode_share(encoder: Encoder, batch: WorkerBatch) -> _Share:
    vectors = None if batch.images is None else _encode(encoder, batch.images).cpu()
    return batch.positions, vectors, batch.problems


@torch.no_grad()
def _encode(encoder: Encoder, images: Tensor) -> Tensor:
    return encoder(images.to(encoder.device)).float()
