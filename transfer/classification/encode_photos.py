"""Vectors of photos as the encoder shows them without augmentation, from one process or several that share them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ...hub.images import SkippedImages
from ...hub.photo_encoder import PhotoEncoder
from ..precision import arithmetic
from ..processes.sharing import gather, rank_and_world
from ..task import Setup

BATCH_SIZE = 64
Encode = Callable[[PhotoEncoder, Sequence[Path], Setup, SkippedImages], np.ndarray]


def encode_photos(encoder: PhotoEncoder, paths: Sequence[Path], setup: Setup, unreadable: SkippedImages) -> np.ndarray:
    """(N, F) features of the readable photos in their order; the others are added to `unreadable`.

    In a group of torch.distributed every process calls it and encodes its share; the first one gets all vectors, the
    others those of their share.
    """
    rank, world = rank_and_world()
    own = SkippedImages()
    vectors = _encode(encoder, paths[rank::world], setup, own) if len(paths) > rank else np.empty((0, 0), np.float32)
    shares = gather((vectors, own.items, [rank + world * position for position in own.positions]))
    for position, (path, reason) in sorted(
        (position, item) for _, items, positions in shares for position, item in zip(positions, items)
    ):
        unreadable.add(path, reason, position)
    if len(shares) < 2:
        return vectors
    return _in_order([vectors for vectors, _, _ in shares], len(paths), set(unreadable.positions))


def _encode(encoder: PhotoEncoder, paths: Sequence[Path], setup: Setup, unreadable: SkippedImages) -> np.ndarray:
    with arithmetic(setup.precision, encoder.device):
        return encoder.encode(
            paths,
            batch_size=setup.batch_size or BATCH_SIZE,
            workers=setup.workers,
            normalise=encoder.is_exported,
            progress=setup.progress,
            skipped=unreadable,
        )


def _in_order(shares: Sequence[np.ndarray], photos: int, unreadable: set[int]) -> np.ndarray:
    """The vectors of every photo that could be read, where share r has those of the photos r, r + shares, ..."""
    positions = [
        position
        for rank in range(len(shares))
        for position in range(rank, photos, len(shares))
        if position not in unreadable
    ]
    filled = [share for share in shares if len(share)]
    return np.concatenate(filled)[np.argsort(positions)] if filled else shares[0]
