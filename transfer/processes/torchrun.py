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

from ...hub.errors import EndedTogether, GoodviewsError
from .environment import is_first, started
from .meeting import Job, Meeting, is_of_connection

_LOOK_EVERY_S = 0.2
_LEAVING_S = 5.0
_SPEAKING_S = 1.0  # torchrun ends the first process soon after another one


def do_in_first(command: Callable[[], None]) -> None:
    """The command in the first process; the others do what it calls them to, and end with it.

    Raises:
        EndedTogether: in another process; the first one says what went wrong.
    """
    if not is_first():
        _assist()
        return
    with _leading():
        command()


@contextmanager
def _leading() -> Iterator[None]:
    """In the first process: the others end when the block does."""
    store = _store()
    key = os.urandom(32)
    store.set("authkey", key.hex())
    multiprocessing.current_process().authkey = key  # with it the others get handles to files of this process
    try:
        yield
    finally:
        store.set("end", "1")
        end_s = time.monotonic() + _LEAVING_S
        while time.monotonic() < end_s and not store.check([f"left {rank}" for rank in range(1, started())]):
            time.sleep(_LOOK_EVERY_S)  # this process may hold the store


def _assist() -> None:
    """In each of the others: the jobs that it is called to, until the first one ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process is stopped, and these end with it
    rank, store = int(os.environ["RANK"]), _store()
    for number in count():
        if not _is_called(store, number):
            store.set(f"left {rank}", "1")
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
    place = PrefixStore(f"job {number}", store)
    meeting = Meeting(place, 0, started(), lambda: _require_all(meeting), ending_s=_SPEAKING_S)
    yield meeting, lambda: _send(job, arguments)


def _require_all(meeting: Meeting) -> None:
    """Raises GoodviewsError where one of the others has failed."""
    failure = meeting.failure()
    if failure is not None:
        raise GoodviewsError(failure)


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
    """Waits until this process is called to a job, or the first one is done.

    Raises:
        EndedTogether: the first one is gone.
    """
    while not _has(store, f"call {number}"):
        if _has(store, "end"):
            return False
        time.sleep(_LOOK_EVERY_S)
    return True


def _require_first(store: Store) -> None:
    """Raises EndedTogether where the first process is done."""
    if _has(store, "end"):
        raise EndedTogether("The first process ended.")


def _has(store: Store, key: str) -> bool:
    """Whether the first process set a key; raises EndedTogether where it is gone, and the store with it."""
    try:
        return bool(store.check([key]))
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
