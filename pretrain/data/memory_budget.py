"""Whether decoded photos fit into memory or onto a disk: known from a few headers before hours of decoding."""

import logging
from contextlib import suppress

import numpy as np

from ...hub.errors import DataError, UsageError
from ...hub.images import opened
from ...hub.machine import free_memory_bytes
from ...hub.sources.source import Source
from .decode import short_size

log = logging.getLogger(__name__)

_SAMPLED = 64  # photos by which the size of all is estimated
_SHARE = 0.8  # of what is free
_OFTEN, _FEW, _FREELY = 50, 200_000, 0.25  # epochs, photos and share of free memory from and up to which advice is due


def require_room(source: Source, short_px: int | None, free: int, what: str) -> None:
    """Refuse what does not fit.

    Args:
        short_px: the longest that a photo's shorter side stays; None for whole photos.
        free: bytes.
        what: has these bytes, for the message.

    Raises:
        UsageError: too little is free.
    """
    needed = estimate_bytes(source, short_px)
    log.info("%d photos are decoded once and kept: about %.1f GB", len(source), needed / 1e9)
    if needed > _SHARE * free:
        raise UsageError(
            f"Keeping {len(source)} decoded photos takes about {needed / 1e9:.1f} GB and {what} has "
            f"{free / 1e9:.1f} GB free; keep them smaller (--keep-px 160), on disk (--keep disk), or not at all."
        )


def advise_decoding_once(source: Source, epochs: int) -> str | None:
    """A sentence for runs that decode the same photos again and again though memory could hold them decoded."""
    if epochs < _OFTEN or len(source) > _FEW:
        return None
    needed = estimate_bytes(source, None)
    if needed > _FREELY * free_memory_bytes():
        return None
    return (
        f"decoded, the {len(source)} photos take about {needed / 1e9:.1f} GB: --keep memory (or disk, or gpu) would "
        f"decode them once instead of {epochs} times"
    )


def estimate_bytes(source: Source, short_px: int | None) -> int:
    """Bytes that the source's photos take decoded, from the headers of a few of them, evenly chosen."""
    sizes = []
    for position in np.linspace(0, len(source) - 1, min(_SAMPLED, len(source))).astype(int).tolist():
        with suppress(DataError), opened(source.open(position)) as photo:
            width, height = short_size(photo.size, short_px)
            sizes.append(3 * width * height)
    return int(np.mean(sizes) * len(source)) if sizes else 0
