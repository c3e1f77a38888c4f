"""Decode photos once and keep them, in memory or on disk: for data that fits, an epoch then costs crops only.

The cache holds whole photos, upright and RGB, or, with `short_px`, photos with the shorter side reduced to that where
it was longer; crops are drawn from them as a recipe says. They differ slightly from crops made straight from a large
JPEG file, which is then decoded at a fraction of its size (see decode). So a run's description says what the cache
holds, and a run continues with the cache it started with. Memory or disk makes no difference.
"""

import hashlib
import json
import logging
import os
import shutil
import time
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from ...hub.errors import DataError
from ...hub.files.atomic import new_folder
from ...hub.files.cache import cache_folder
from ...hub.files.locks import sole_writer
from ...hub.machine import free_memory_bytes
from ...hub.sources.source import Source, read_photo
from ..options import Keep
from .decode import decoder, shorten
from .decoded_photos import DecodedPhotos
from .memory_budget import require_room

log = logging.getLogger(__name__)

FORMAT = 1
PIXELS, INDEX = "pixels.bin", "index.npz"
_REPORT_EVERY_S = 30.0
_BLOCK = 256 * 2**20  # bytes; no photo is larger, see hub.images


def decode_photos(
    source: Source,
    how: Keep,
    *,
    short_px: int | None = None,
    workers: int = 0,
    folder: Path | None = None,
    is_shared: bool = False,
) -> DecodedPhotos:
    """Decode every photo of a source once.

    Args:
        how: "disk" keeps them in `folder` for later runs too; "memory" and "gpu" (whose copy starts from there) here.
        short_px: the longest that a photo's shorter side stays; None keeps photos whole.
        workers: processes that decode.
        folder: by default below the user's cache folder.
        is_shared: of memory, keep them where other processes of this machine can map them (see DecodedPhotos.file).

    Raises:
        UsageError: they do not fit.
        DataError: the source cannot be read at all.
    """
    if how == "disk":
        return _on_disk(source, short_px, workers, folder or cache_folder() / "photos")
    require_room(source, short_px, free_memory_bytes(), "memory")
    if is_shared and hasattr(os, "memfd_create"):
        return _in_shared_memory(source, short_px, workers)
    blocks = _Blocks()
    where, reasons = _decode_all(source, short_px, workers, blocks.add)
    return DecodedPhotos(source, where, reasons, blocks.filled())


def _in_shared_memory(source: Source, short_px: int | None, workers: int) -> DecodedPhotos:
    """In a file without a name, in memory, that ends with the last process that has it open: nothing is left behind."""
    number = os.memfd_create("photos")
    with os.fdopen(os.dup(number), "wb") as pixels:
        where, reasons = _decode_all(source, short_px, workers, _Stream(pixels).add)
    photos = DecodedPhotos(source, where, reasons, file=Path(f"/proc/{os.getpid()}/fd/{number}"))
    weakref.finalize(photos, os.close, number)
    return photos


def _on_disk(source: Source, short_px: int | None, workers: int, folder: Path) -> DecodedPhotos:
    key = [source.describe(), source.content(), short_px, decoder(), FORMAT]
    here = folder / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
    if not here.exists():
        with sole_writer(here, wait_s=float("inf")):  # whoever comes second uses what the first has decoded
            _fill(here, source, short_px, workers)
    log.info("decoded photos are kept in %s; delete the folder when they are no longer needed", here)
    with np.load(here / INDEX, allow_pickle=False) as index:
        reasons = dict(json.loads(index["reasons"].tobytes()))
        return DecodedPhotos(source, index["where"], reasons, file=here / PIXELS)


def _fill(here: Path, source: Source, short_px: int | None, workers: int) -> None:
    """Decode all photos into a new folder, unless another process has meanwhile."""
    if not here.exists():
        require_room(source, short_px, shutil.disk_usage(here.parent).free, f"the disk of {here.parent}")
        with new_folder(here, kind="cache") as partial:
            with (partial / PIXELS).open("wb") as pixels:
                where, reasons = _decode_all(source, short_px, workers, _Stream(pixels).add)
            index = {"where": where, "reasons": _as_bytes(json.dumps([*reasons.items()]))}
            with (partial / INDEX).open("wb") as stream:
                np.savez(stream, **index)  # type: ignore[arg-type]


def _decode_all(
    source: Source, short_px: int | None, workers: int, add: Any
) -> tuple[NDArray[np.int64], dict[int, str]]:
    """Hand every photo to `add`, which returns its block and first byte."""
    where, reasons, reported_s = np.zeros((len(source), 4), np.int64), {}, time.monotonic()
    chunks = [range(first, min(first + 16, len(source))) for first in range(0, len(source), 16)]
    loader = DataLoader(_Decoder(source, short_px), None, sampler=chunks, num_workers=workers, collate_fn=_as_it_is)
    for chunk, photos in zip(chunks, loader, strict=True):
        for position, photo in zip(chunk, photos, strict=True):
            if isinstance(photo, str):
                reasons[position] = photo
            else:
                where[position] = (*add(photo), *photo.shape[:2])
        if time.monotonic() - reported_s > _REPORT_EVERY_S:
            reported_s = time.monotonic()
            log.info("decoded %d of %d photos, to keep them", chunk.stop, len(source))
    return where, reasons


class _Decoder(Dataset):
    """Photos by chunks of positions; the reason in the place of one that cannot be read."""

    def __init__(self, source: Source, short_px: int | None):
        self.source, self.short_px = source, short_px

    def __getitem__(self, positions: Iterable[int]) -> list[NDArray[np.uint8] | str]:
        return [self._one(position) for position in positions]

    def _one(self, position: int) -> NDArray[np.uint8] | str:
        try:
            return np.asarray(shorten(read_photo(self.source, position), self.short_px))
        except DataError as error:
            return str(error)


class _Blocks:
    """Memory that grows by blocks, so that no photo is ever copied again."""

    def __init__(self) -> None:
        self.blocks: list[NDArray[np.uint8]] = []
        self.used = _BLOCK

    def add(self, photo: NDArray[np.uint8]) -> tuple[int, int]:
        if self.used + photo.size > _BLOCK:
            self._close()
            self.blocks.append(np.empty(max(_BLOCK, photo.size), np.uint8))
            self.used = 0
        first = self.used
        self.used += photo.size
        self.blocks[-1][first : self.used] = photo.reshape(-1)
        return len(self.blocks) - 1, first

    def filled(self) -> list[NDArray[np.uint8]]:
        self._close()
        return self.blocks

    def _close(self) -> None:
        if self.blocks:
            self.blocks[-1] = self.blocks[-1][: self.used]


class _Stream:
    """A file that grows."""

    def __init__(self, stream: Any):
        self.stream, self.used = stream, 0

    def add(self, photo: NDArray[np.uint8]) -> tuple[int, int]:
        first = self.used
        self.stream.write(photo.tobytes())
        self.used += photo.size
        return 0, first


def _as_bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _as_it_is(photos: Any) -> Any:
    return photos
