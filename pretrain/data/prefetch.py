"""How far loader workers read ahead: a few portions each, as long as the bytes that wait are bounded."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from ..views.operations import cut_of
from ..views.view import View
from .portions import count_portions

MOST_PORTIONS = 4  # that a worker prepares ahead; more where workers are too few to have two steps ready
_STEPS = 2
MOST_BYTES = 4 * 2**30  # of all images that wait
SHARED_MEMORY = Path("/dev/shm")  # where workers of Linux put their images
_SHARE = 0.5  # of what is free there


def portions_ahead(views: Sequence[View], images: int, *, is_rendered: bool, workers: int) -> int:
    """Portions that each worker prepares ahead, 1 at least, where a step has so many images."""
    room = MOST_BYTES
    if SHARED_MEMORY.is_dir():
        room = min(room, int(_SHARE * shutil.disk_usage(SHARED_MEMORY).free))
    portions = count_portions(images, workers, is_rendered=is_rendered)
    portion_bytes = batch_bytes(views, images, is_rendered=is_rendered) / portions
    wanted = max(MOST_PORTIONS, -(-_STEPS * portions // workers))
    return max(1, min(wanted, int(room / (portion_bytes * workers))))


def batch_bytes(views: Sequence[View], images: int, *, is_rendered: bool) -> int:
    """What a worker hands over: crops of 8 bits, or views of 32, of so many images."""
    return images * sum(4 * 3 * _pixels(view) if is_rendered else 3 * view.crop.px**2 for view in views)


def _pixels(view: View) -> int:
    cut = cut_of(view)
    return int(view.crop.px**2 if cut is None else cut.grid**2 * cut.patch_px**2)
