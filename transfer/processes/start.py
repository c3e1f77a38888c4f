"""Other processes that take part in a task; the command's own is the first and alone reads, writes and speaks.

It starts them itself (`--processes 8`), or torchrun has started all of them (see `torchrun`).
"""

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from torch.distributed import FileStore  # type: ignore[attr-defined]
from torch.multiprocessing import get_context

from ...hub.errors import EndedTogether, GoodviewsError, UsageError
from .environment import is_used, processes_here
from .meeting import Job, Meeting, is_of_connection, leave
from .torchrun import call

_END_S = 5.0  # until a process that does not end is killed
_ENDED_TOGETHER = 3  # status of a process that ended since another one did


@contextmanager
def others_run(job: Job, arguments: tuple[object, ...], *, processes: int, device: torch.device) -> Iterator[None]:
    """Within the block this process is the first of so many, in one group of torch.distributed.

    Each of the others runs `job(device, *arguments)`, on a GPU of its own or on the CPU as `device` says. The block
    ends when they have ended. With one process there are no others, and nothing happens.

    Raises:
        UsageError: so many processes cannot compute there.
        GoodviewsError: another process ended; with its words, or the signal that killed it.
    """
    if processes == 1:
        yield
        return
    check_processes(processes, device)
    called = call(job, arguments, device) if is_used() else _start(job, arguments, processes, device)
    with called as (meeting, send):
        try:
            meeting.join(device)
            send()
            yield
            meeting.close()
        except RuntimeError as error:
            if not is_of_connection(error):
                raise
            raise GoodviewsError(meeting.failure_soon(error)) from error
        finally:
            leave()


def check_processes(processes: int, device: torch.device) -> None:
    """Raises UsageError where so many processes cannot compute on `device`."""
    gpus, here = torch.cuda.device_count(), processes_here() or processes
    if processes > 1 and device.type == "cuda" and here > gpus:
        raise UsageError(f"{here} processes need a GPU each; torch sees {gpus}.")
    if processes > 1 and device.type == "cuda" and device.index:
        raise UsageError(
            f"Several processes take the GPUs from the first one on; leave out --device {device}, or choose the GPUs "
            "with CUDA_VISIBLE_DEVICES."
        )
    if processes > 1 and device.type == "cpu" and gpus:
        raise UsageError(
            "Several processes train on the CPU only where torch sees no GPU: set CUDA_VISIBLE_DEVICES=''."
        )


@contextmanager
def _start(
    job: Job, arguments: tuple[object, ...], processes: int, device: torch.device
) -> Iterator[tuple[Meeting, Callable[[], None]]]:
    """Starts the others; gives where they are met. They get job and arguments when they start."""
    with tempfile.TemporaryDirectory(prefix="goodviews-") as name:
        place, new = Path(name) / "meeting", get_context("spawn")
        others = [
            new.Process(target=_one_of_the_others, args=(rank, processes, place, device.type, job, arguments))
            for rank in range(1, processes)
        ]
        meeting = Meeting(FileStore(str(place), processes), 0, processes, lambda: _require_all(others, meeting))
        try:
            with _deaf_to_ctrl_c():
                for one in others:
                    one.start()
            yield meeting, lambda: None
        finally:
            for one in others:
                _end(one)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """What starts within the block leaves Ctrl-C to the first process, with which it ends."""
    if threading.current_thread() is not threading.main_thread():  # elsewhere Python forbids handlers
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _one_of_the_others(rank: int, world: int, place: Path, kind: str, job: Job, arguments: tuple[object, ...]) -> None:
    """What a new process runs; it is silent."""
    os.environ["RANK"] = str(rank)
    threading.Thread(target=_end_after_first, args=(place.parent,), daemon=True).start()
    meeting = Meeting(FileStore(str(place), world), rank, world, _require_first)
    try:
        meeting.take_part(torch.device(kind, rank) if kind == "cuda" else torch.device(kind), lambda: (job, arguments))
    except EndedTogether:
        sys.exit(_ENDED_TOGETHER)


def _end_after_first(folder: Path) -> None:
    """Ends this process some seconds after the first one, whatever it waits for then; torch can wait half an hour.

    The first one's folder goes with it, which it cannot remove when it is killed.
    """
    first = parent_process()
    assert first is not None
    first.join()
    time.sleep(_END_S)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(_ENDED_TOGETHER)


def _require_first() -> None:
    first = parent_process()
    if first is None or not first.is_alive():
        raise EndedTogether("The first process ended.")


def _require_all(others: Sequence[BaseProcess], meeting: Meeting) -> None:
    """Raises GoodviewsError where one of the others has ended otherwise than well.

    It speaks of one that ended by itself before those that only lost their connection to it.
    """
    ended = [(rank, one.exitcode) for rank, one in enumerate(others, start=1) if one.exitcode]
    if ended:
        rank, status = min(ended, key=lambda end: end[1] == _ENDED_TOGETHER)
        raise GoodviewsError(meeting.failure() or _end_of(rank, len(others) + 1, status))


def _end_of(rank: int, world: int, status: int) -> str:
    if status == _ENDED_TOGETHER:
        return f"Process {rank} of {world} lost its connection to the others."
    if status > 0:
        return f"Process {rank} of {world} ended with status {status}; what it printed tells why."
    memory = ", perhaps since the memory was full" if -status == signal.SIGKILL else ""
    return f"Process {rank} of {world} was ended by {signal.Signals(-status).name}{memory}."


def _end(one: BaseProcess) -> None:
    """Ends a process that has done its work, or cannot; its usual end takes seconds."""
    if one.pid is None:
        return
    one.terminate()
    one.join(_END_S)
    if one.is_alive():
        one.kill()
