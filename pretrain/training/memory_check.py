"""A run's memory: what a step is estimated to need, said before the first one, and the one answer when it is short."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ...hub.backbone import UNBUILDABLE
from ...hub.errors import GoodviewsError
from ...hub.machine import free_memory_bytes
from ..recipe import Recipe
from .memory_estimate import StepMemory, estimate_step
from .run import Run

log = logging.getLogger(__name__)

_SMALL_PIXELS = 2**24  # of all views of a step; fewer fit everywhere, and are not worth the seconds of an estimate
_NO_MEMORY = ("can't allocate memory", "not enough memory", "CUDA out of memory")  # in torch's plain RuntimeErrors


def announce_memory(run: Run) -> None:
    """Log what a step of the run is estimated to need, and warn where that is more than there is."""
    if not run.accelerator.is_main_process or _pixels(run.recipe) < _SMALL_PIXELS:
        return
    step, accumulate, free = _estimate(run), run.options.accumulate, _free_bytes(run)
    if step is None:
        return
    log.info("%s; %s are free", _describe(step, accumulate), _size(free))
    smallest = step.smallest_accumulate(free)
    if smallest is None:
        log.warning("by this estimate not even two images at a time fit into the memory; give smaller views")
    elif smallest > accumulate:
        log.warning("by this estimate the run does not fit into the memory; with --accumulate %d it does", smallest)


@contextmanager
def out_of_memory_in_words(run: Run) -> Iterator[None]:
    """Too little memory within the block becomes one sentence that says what would fit.

    Raises:
        GoodviewsError: the memory of the GPU or of the machine is used up.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        is_short = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not is_short and not any(words in str(error) for words in _NO_MEMORY):
            raise
        free = _free_bytes(run)
        run.optimizer.zero_grad()
        raise GoodviewsError(_advice(run, _estimate(run), free)) from error


def _advice(run: Run, step: StepMemory | None, free: int) -> str:
    what = "the GPU" if run.accelerator.device.type == "cuda" else "this machine"
    start = f"The memory of {what} is used up at step {run.state.step + 1}"
    if step is None:
        more = f"--accumulate {2 * run.options.accumulate}"
        return f"{start}; start again with {more} and --overwrite, or with a smaller --batch-size."
    accumulate = step.smallest_accumulate(free, above=run.options.accumulate)
    cure = (
        "not even two images at a time would fit; give smaller views or a smaller network"
        if accumulate is None
        else f"--accumulate {accumulate} is the smallest that fits by this estimate ({step.images // accumulate} "
        f"images at a time, {_size(step.needed(accumulate))}); start again with it and --overwrite, or with a smaller "
        "--batch-size"
    )
    return f"{start}: {_describe(step, run.options.accumulate)}, and {_size(free)} are there for this process; {cure}."


def _describe(step: StepMemory, accumulate: int) -> str:
    images, kept = step.images // accumulate, _size(step.activations // accumulate)
    return (
        f"a forward pass of {images} images keeps about {kept} of activations, with views, weights and memories "
        f"{_size(step.needed(accumulate))} (estimated)"
    )


def _estimate(run: Run) -> StepMemory | None:
    """None where a network or an objective cannot be rehearsed on tensors without content."""
    images, world = len(run.images.train), run.processes.world
    try:
        return estimate_step(run.recipe, run.identity.precision, images=images, world=world, start=run.start)
    except UNBUILDABLE as error:
        log.info("what a step needs of memory cannot be estimated (%s)", (str(error).splitlines() or [""])[0][:200])
        return None


def _free_bytes(run: Run) -> int:
    """What this process may use, with what it holds already on a GPU."""
    device = run.accelerator.device
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) + torch.cuda.memory_reserved(device)
    return free_memory_bytes() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def _pixels(recipe: Recipe) -> int:
    return recipe.batch_size * sum(view.crop.px**2 for view in recipe.views)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
