"""How far loader workers read ahead: a few batches each, as long as the bytes that wait are bounded."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from ..views.operations import cut_of
from ..views.view import View

MOST_BATCHES = 4  # that a worker prepares ahead
MOST_BYTES = 4 * 2**30  # of all batches that wait
SHARED_MEMORY = Path("/dev/shm")  # where workers of Linux put their batches
_SHARE = 0.5  # of what is free there


def batches_ahead(batch_bytes: int, workers: int) -> int:
    """Batches that each worker prepares ahead, 1 to `MOST_BATCHES`."""
    room = MOST_BYTES
    if SHARED_MEMORY.is_dir():
        room = min(room, int(_SHARE * shutil.disk_usage(SHARED_MEMORY).free))
    return max(1, min(MOST_BATCHES, room // max(1, batch_bytes * workers)))


def batch_bytes(views: Sequence[View], images: int, *, is_rendered: bool) -> int:
    """What a worker hands over: crops of 8 bits, or views of 32, of so many images."""
    return images * sum(4 * 3 * _pixels(view) if is_rendered else 3 * view.crop.px**2 for view in views)


def _pixels(view: View) -> int:
    cut = cut_of(view)
    return int(view.crop.px**2 if cut is None else cut.grid**2 * cut.patch_px**2)
