"""The arithmetic on colours as one kernel each, by torch's compiler: with --compile, on a device.

How many images an operation changes differs from step to step, so sizes are left open: a function is compiled once, and
anew where it meets a single image, or a pool of one size beside one of several. On a CPU the results are equal bit for
bit. On a GPU the compiler may join a product and a sum, which rounds otherwise, and so change a few pixels by a level;
none has shown yet what it does, and what is gained.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

COMPILER = "inductor"  # torch's own default


@cache
def compiled(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function, compiled when it is called."""
    made: Callable[..., Tensor] = torch.compile(function, backend=COMPILER, dynamic=True)
    return made
