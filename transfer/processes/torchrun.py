"""Processes that torchrun started: all run the same command, the first does it, the others wait for their part in it.

    torchrun --nproc-per-node 8 -m goodviews.transfer linear-moco --encoder E --data IMAGENET --out runs/linear

The first one may call the others several times: each call is a job, for which all meet anew.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from itertools import count
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from ...hub.errors import EndedTogether, UsageError
from .meeting import Job, Meeting, is_of_connection

_LOOK_EVERY_S = 0.2


def is_used() -> bool:
    """Whether torchrun started several processes, of which this is one."""
    return started() > 1


def started() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def processes_here() -> int | None:
    """How many of them are on this machine; None without torchrun."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", started())) if is_used() else None


def is_first() -> bool:
    """Whether this process is the one that does the command."""
    return not is_used() or os.environ.get("RANK", "0") == "0"


def processes_of_run(wanted: int | None) -> int:
    """How many processes a run has, of those that --processes wants and torchrun started.

    Raises:
        UsageError: the two differ.
    """
    if is_used() and wanted not in (None, started()):
        raise UsageError(f"torchrun started {started()} processes and --processes is {wanted}; leave out --processes.")
    return started() if is_used() else wanted or 1


def require_one_machine() -> None:
    """Raises UsageError where torchrun started processes on several machines."""
    if is_used() and processes_here() != started():
        raise UsageError(
            f"Detectors train on one machine, and torchrun started {processes_here()} of {started()} processes on "
            "this one; start them with --nnodes 1."
        )


@contextmanager
def leading() -> Iterator[None]:
    """In the first process: the others end when the block does."""
    if not is_used():
        yield
        return
    store = _store()
    key = os.urandom(32)
    store.set("authkey", key.hex())
    multiprocessing.current_process().authkey = key  # with it the others get handles to files of this process
    try:
        yield
    finally:
        store.set("end", "1")


def assist() -> None:
    """What each process but the first does: the jobs that it is called to, until the first one ends.

    Raises:
        EndedTogether: the first process says what went wrong.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process is stopped, and these end with it
    rank, store = int(os.environ["RANK"]), _store()
    for number in count():
        if not _is_called(store, number):
            return
        multiprocessing.current_process().authkey = bytes.fromhex(store.get("authkey").decode())
        meeting = Meeting(PrefixStore(f"job {number}", store), rank, started(), lambda: _require_first(store))
        kind = store.get(f"device {number}").decode()
        place = int(os.environ.get("LOCAL_RANK", rank))
        meeting.take_part(torch.device(kind, place) if kind == "cuda" else torch.device(kind), _receive)


@contextmanager
def call(job: Job, arguments: tuple[object, ...], device: torch.device) -> Iterator[tuple[Meeting, Callable[[], None]]]:
    """In the first process: calls the others to a job. Gives where they are met, and what sends it to them then."""
    store, number = _store(), next(_jobs())
    store.set(f"device {number}", device.type)
    store.set(f"call {number}", "1")
    yield Meeting(PrefixStore(f"job {number}", store), 0, started(), lambda: None), lambda: _send(job, arguments)


def _send(job: Job, arguments: tuple[object, ...]) -> None:
    """To each of the others by itself, since a handle to an open file serves one."""
    to_each: list[Any] = [None, *[(job, arguments)] * (started() - 1)]
    dist.scatter_object_list([None], to_each)


def _receive() -> tuple[Job, tuple[object, ...]]:
    received: list[Any] = [None]
    dist.scatter_object_list(received, None)
    job, arguments = received[0]
    return job, arguments


def _is_called(store: Store, number: int) -> bool:
    """Waits until this process is called to a job, or the first one ends."""
    try:
        while not store.check([f"call {number}"]):
            _require_first(store)
            time.sleep(_LOOK_EVERY_S)
    except EndedTogether:
        return False
    return True


def _require_first(store: Store) -> None:
    """Raises EndedTogether where the first process is done, or gone with the store."""
    try:
        if store.check(["end"]):
            raise EndedTogether("The first process ended.")
    except RuntimeError as error:
        if is_of_connection(error):
            raise EndedTogether("The first process ended.") from error
        raise


@cache
def _store() -> Store:
    """Torchrun's own, or that of the first process."""
    store, _, _ = next(rendezvous("env://", timeout=timedelta(minutes=5)))
    return store


@cache
def _jobs() -> Iterator[int]:
    return count()
