"""Where the views' operations on a CPU are compiled: with Numba installed (`pip install "goodviews[fast]"`).

Compiled or not, a view has the same pixels, bit by bit. The first run on a machine compiles for up to a minute; Numba
keeps the result beside the code or in the user's cache folder.
"""

import logging
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

log = logging.getLogger(__name__)

Kernel = Any  # what Numba makes of a function has no type


@cache
def is_installed() -> bool:
    """Whether Numba is here, and is not told to leave functions as they are."""
    return find_spec("numba") is not None and os.environ.get("NUMBA_DISABLE_JIT", "0") == "0"


def kernels_for(images: Tensor) -> ModuleType | None:
    """The compiled operations, if there are any for images on this device."""
    return _kernels() if images.device.type == "cpu" and is_installed() else None


def announce_compilation() -> None:
    """Log what keeps the views of a CPU from being compiled, or that this comes first.

    Processes that are forked from this one then need not say it again.
    """
    kernels = _kernels() if is_installed() else None
    if kernels is not None and not any(Path(kernels.look_up.stats.cache_path).glob("kernels.*.nbi")):
        log.info("views are compiled for this machine, once: the first steps take up to a minute longer")


@cache
def _kernels() -> ModuleType | None:
    try:
        from . import kernels
    except RuntimeError as error:
        log.warning("Views are not compiled: Numba finds no folder to write to; set NUMBA_CACHE_DIR to one (%s)", error)
        return None
    except ImportError as error:  # Numba says so of a NumPy that is too new for it
        log.warning("Views are not compiled: Numba cannot be imported; install another version of it (%s)", error)
        return None
    return kernels


def changed(kernel: Kernel, images: Tensor, *given: NDArray[Any] | bool) -> Tensor:
    """What a kernel of `kernels` makes of images (n, 3, H, W), uint8."""
    pixels = images.contiguous().numpy()
    made = np.empty_like(pixels)
    kernel(pixels, *given, made)
    return torch.from_numpy(made)


def single(values: Tensor) -> NDArray[np.float32]:
    """Numbers of images as the kernels take them."""
    return values.to(torch.float32).numpy()
