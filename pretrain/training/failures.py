"""A process that fails ends the others of its run, each in order: no traceback of a broken connection, no endless wait.

One sentence says what happened. It comes from the process that failed or, where that could not speak (it was killed,
or ran out of memory), from each of the others.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from ...hub.errors import EndedTogether, GoodviewsError

_CONNECTION = ("gloo", "NCCL", "ProcessGroup", "Connection closed by peer", "Connection reset by peer", "Broken pipe")


@contextmanager
def all_or_none(
    accelerator: Accelerator, *, gather: Callable[[Any], list[Any]] = lambda value: gather_object([value])
) -> Iterator[None]:
    """What one process refuses in the block, all refuse; the first of those raises its error, the others say nothing.

    The block must not wait for other processes.

    Args:
        gather: a value of every process, in the order of their ranks; a patient one for a block that may take one
            process much longer than another.

    Raises:
        EndedTogether: another process raises the error.
    """
    error: Exception | None = None
    try:
        yield
    except Exception as found:  # whatever it is, it is raised again below
        error = found
    if accelerator.num_processes > 1:
        failed = gather(error is not None)
        if any(failed) and failed.index(True) != accelerator.process_index:
            raise EndedTogether(f"Process {failed.index(True)} of this run says why it ends.") from error
    if error is not None:
        raise error


def said_by_first(accelerator: Accelerator, sentence: str) -> GoodviewsError:
    """The error with which all processes end at the same step; only the first one says it."""
    return GoodviewsError(sentence) if accelerator.is_main_process else EndedTogether(sentence)


@contextmanager
def broken_connections() -> Iterator[None]:
    """Another process that ended without a word becomes one sentence, where torch would raise a broken connection.

    Raises:
        GoodviewsError: the others cannot be reached any more.
    """
    try:
        yield
    except RuntimeError as error:
        if not _is_of_connection(error):
            raise
        rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
        raise GoodviewsError(
            f"Another process of this run ended, so process {rank} of {world} ends too; what that one says, or the "
            "system's log, tells why. Give the same command with --resume to go on from the last checkpoint."
        ) from error


def _is_of_connection(error: RuntimeError) -> bool:
    if not (torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1):
        return False
    return isinstance(error, torch.distributed.DistError) or any(word in str(error) for word in _CONNECTION)
