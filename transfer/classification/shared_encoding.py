"""Vectors of images from an encoder that does not change, from one process or several.

With several, each reads and encodes its share of every batch, on a GPU of its own or all on the CPU. The command's own
process gets all vectors in their order and trains alone, so the result is that of one process but for the rounding of
smaller batches.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from ...hub.encoder import Encoder
from ...hub.images import SkippedImages
from ...hub.photo_encoder import PhotoEncoder
from ..precision import Precision, arithmetic, faster_layout
from ..processes.sharing import gather, rank_and_world
from ..processes.start import others_run
from ..task import Setup
from .encode_photos import encode_photos
from .training_images import TrainingImages, WorkerBatch, normalised

MakeImages = Callable[..., TrainingImages]  # given `share` and `progress`; it is sent to other processes
Encoded = Iterator[tuple[Tensor, Tensor]]  # of each batch (n, F) vectors and (n,) positions of the images
_Request = int | list[Path] | None  # an epoch of the training images, photos, or the end


@contextmanager
def shared_encoding(
    encoder: Encoder, images: TrainingImages, make_images: MakeImages, setup: Setup
) -> Iterator["SharedEncoding"]:
    """What encodes within the block; the other processes end with it.

    Args:
        images: Of this process, of `make_images(share=(0, processes))`; notes what none of them could read.

    Raises:
        UsageError: so many processes cannot encode there.
        GoodviewsError: another process ended.
    """
    processes = setup.process_count
    copied = copy.deepcopy(encoder).cpu() if processes > 1 else encoder  # weights that are sent move to shared memory
    sent = (copied, make_images, replace(setup, progress=False))
    with others_run(_assist, sent, processes=processes, device=encoder.device):
        with faster_layout(encoder, setup.precision):
            yield SharedEncoding(encoder, images, setup.precision)
        _ask(None)


@dataclass(frozen=True)
class SharedEncoding:
    """In the first process."""

    encoder: Encoder
    images: TrainingImages
    precision: Precision

    def epoch(self, epoch: int) -> Encoded:
        """The batches of an epoch of the training images, encoded."""
        _, world = rank_and_world()
        if world == 1:
            return encode_epoch(self.encoder, self.images, epoch, self.precision)
        return self._epoch_together(epoch)

    def photos(
        self, encoder: PhotoEncoder, paths: Sequence[Path], setup: Setup, unreadable: SkippedImages
    ) -> np.ndarray:
        """See `encode_photos`."""
        _ask(list(paths))
        return encode_photos(encoder, paths, setup, unreadable)

    def _epoch_together(self, epoch: int) -> Encoded:
        _ask(epoch)
        place_in_epoch = self.images.places(epoch)
        for batch in self.images.batches(epoch):
            shares = gather(_encode_share(self.encoder, batch, self.precision))
            self.images.note([problem for _, _, problems in shares for problem in problems])
            vectors = [vectors for _, vectors, _ in shares if vectors is not None]
            if vectors:
                positions = torch.tensor([position for some, _, _ in shares for position in some])
                order = place_in_epoch[positions].argsort()
                yield torch.cat(vectors)[order].to(self.encoder.device), positions[order]
        self.images.require_one()


def encode_epoch(encoder: Encoder, images: TrainingImages, epoch: int, precision: Precision = "fp32") -> Encoded:
    """In one process."""
    for batch, positions in images.epoch(epoch):
        yield _encode(encoder, batch, precision), positions


def _ask(request: _Request) -> None:
    """Tells the other processes, if there are any, what to do next."""
    if rank_and_world()[1] > 1:
        dist.broadcast_object_list([request])


def _assist(device: torch.device, encoder: Encoder, make_images: MakeImages, setup: Setup) -> None:
    """In another process: encodes its share of what the first one asks for."""
    encoder = encoder.to(device).eval()
    images = make_images(share=rank_and_world(), progress=False)
    while True:
        message: list[Any] = [None]
        dist.broadcast_object_list(message)
        request: _Request = message[0]
        if request is None:
            return
        if isinstance(request, list):
            encode_photos(encoder, request, setup, SkippedImages())
            continue
        for batch in images.batches(request):
            gather(_encode_share(encoder, batch, setup.precision))


def _encode_share(
    encoder: Encoder, batch: WorkerBatch, precision: Precision
) -> tuple[list[int], Tensor | None, list[tuple[int, str]]]:
    """Positions of images, their vectors, and what could not be read."""
    vectors = None if batch.images is None else _encode(encoder, batch.images, precision).cpu()
    return batch.positions, vectors, batch.problems


@torch.no_grad()
def _encode(encoder: Encoder, crops: Tensor, precision: Precision) -> Tensor:
    with arithmetic(precision, encoder.device):
        return encoder(normalised(crops, encoder.preprocessing, encoder.device)).float()
