"""--compile: a step as one graph, from the views to the loss, with the key network's pass, and its backward pass.

Every method is one graph without a break, in fp32 and bf16, and is compiled once; SwAV and PCL a second time when their
queue or clusters begin. Modules stay as they are, and so do checkpoints and what looks at the encoder between steps.
That holds of one process; with several only the backbones are compiled, each within its process. On a CPU the first
step takes minutes and the others as long as before (benchmarks/compile_gain.py). What a GPU gains, none has shown yet.
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from ...hub.errors import GoodviewsError, UsageError
from ..models.ema import EmaPair
from ..objective import Objective, Step
from .checkpoint import RunState

log = logging.getLogger(__name__)

COMPILER = "inductor"  # torch's own default


def check_compiler() -> None:
    """inductor writes C++, and compiles it when it is first called.

    Raises:
        UsageError: the machine has no compiler.
    """
    name = os.environ.get("CXX", "g++")
    if COMPILER == "inductor" and shutil.which(name) is None:
        raise UsageError(
            f"--compile needs a C++ compiler, and {name} is not found here; install it (apt install g++) or leave the "
            "option out."
        )


@contextmanager
def failed_compilation() -> Iterator[None]:
    """What the compiler stops at becomes one sentence.

    Raises:
        GoodviewsError: a compiler was called and failed.
    """
    try:
        yield
    except RuntimeError as error:
        from torch._dynamo.exc import BackendCompilerFailed  # takes a second to import, which a plain run needs not

        if not isinstance(error, BackendCompilerFailed):
            raise
        lines = str(error).splitlines()
        cause = next((line for line in lines if "error:" in line), lines[0]).strip()[:300]
        raise GoodviewsError(
            f'The compiler failed at the first step ("{cause}"); install what it misses (for Python.h python3-dev), or '
            "start again without --compile and with --overwrite."
        ) from error


def compile_step(objective: Objective, state: RunState, *, processes: int) -> Callable[..., Step]:
    """The objective, compiled, or with backbones that are, in place."""
    log.info("the first step is compiled, which takes minutes")
    if processes == 1:
        compiled: Callable[..., Step] = torch.compile(objective.__call__, backend=COMPILER)
        return compiled
    pair = state.memory(EmaPair)
    for network in (state.network, None if pair is None else pair.key):
        for backbone in (getattr(network, "backbone", None), getattr(network, "chroma", None)):
            if backbone is not None:
                backbone.compile(backend=COMPILER)
    return objective
