"""Freed memory stays with the program: arrays of megabytes come and go a thousand times a second in views and networks.

By default glibc gives each back to the system, which must clear it again, page by page, for the next. On a CPU that is
a tenth of a small network's step and more than a third of rotating a photo.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # numbers of mallopt's settings
_KEPT_BYTES = 2**31 - 1
_FROM_SYSTEM_BYTES = (2**30, 2**25)  # blocks of it come from the system and go back; older glibc takes 2**25


def keep_freed_memory() -> None:
    """For this process and those it forks; where there is no glibc, nothing happens."""
    if not sys.platform.startswith("linux"):
        return
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_TRIM_THRESHOLD, _KEPT_BYTES)
        any(set_option(_MMAP_THRESHOLD, size) for size in _FROM_SYSTEM_BYTES)
