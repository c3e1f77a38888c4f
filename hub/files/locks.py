"""One writer at a time: whoever writes a run, an index or a cache holds a lock on it, and others are told who.

The lock is a hidden file beside what is written (in it, where the folder around may not be written). The system
releases it when its process ends, however it ends, and it says which process holds it, on which machine, since when.
A lock of a dead process is no obstacle and is removed by the next command (see leftovers). Where the system or its
disk has no such locks, nobody is refused.
"""

import json
import logging
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import local

from ..errors import Busy
from .disk_errors import disk_errors
from .leftovers import hold, let_go, try_lock

log = logging.getLogger(__name__)

SUFFIX = ".writer.lock"
_TRIES, _PAUSE_S = 4, 0.05  # another process may hold it for a moment, to see whether it is a leftover
_mine = local()  # the places that this thread writes: it may ask again


@contextmanager
def sole_writer(place: Path, *, wait_s: float = 0.0) -> Iterator[None]:
    """Nobody else writes `place` while the block runs; within it the same thread may ask again.

    Args:
        place: a folder or a file; it need not exist, and its parents are made.
        wait_s: how long to wait for whoever writes it now.

    Raises:
        Busy: another process, or another thread, writes it.
        GoodviewsError: the place cannot be written.
    """
    place = place.parent.resolve() / place.name
    held: set[Path] = _mine.__dict__.setdefault("places", set())
    if place in held:
        yield
        return
    with disk_errors(place):
        handle, path = _acquire(place, wait_s)
    held.add(place)
    owner = os.getpid()
    try:
        yield
    finally:
        held.discard(place)
        if handle is not None and os.getpid() == owner:  # not in a fork
            path.unlink(missing_ok=True)  # before it is released: whoever gets it sees that it is another file
            let_go(handle)


def refuse_busy(place: Path) -> None:
    """Raise Busy if another process writes `place` now; nothing is written."""
    place = place.parent.resolve() / place.name
    path = _lock_file(place)
    if place in _mine.__dict__.get("places", ()) or not path.is_file():
        return
    handle = os.open(path, os.O_RDWR if os.access(path, os.W_OK) else os.O_RDONLY)
    try:
        if _locked(handle) is False:
            raise _busy(place, path)
    finally:
        os.close(handle)


def _acquire(place: Path, wait_s: float) -> tuple[int | None, Path]:
    """The open lock and its file; no handle where the disk has no locks."""
    path, start_s, has_told = _lock_file(place), time.monotonic(), False
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        is_locked = _locked(handle)
        if is_locked is None:
            path.unlink(missing_ok=True)
            os.close(handle)
            return None, path
        if is_locked and _is_same_file(handle, path):
            hold(handle)
            _write_holder(handle)
            return handle, path
        os.close(handle)
        if is_locked:
            continue  # the file was removed while it was being locked
        busy = _busy(place, path)
        if time.monotonic() - start_s >= wait_s:
            raise busy
        if not has_told:
            log.info("Waiting: %s", busy)
            has_told = True
        time.sleep(0.1)


def _locked(handle: int) -> bool | None:
    """Whether this process has the lock now; None where there are no locks."""
    for attempt in range(_TRIES):
        is_locked = try_lock(handle)
        if is_locked is not False:
            return is_locked
        if attempt + 1 < _TRIES:
            time.sleep(_PAUSE_S)
    return False


def _lock_file(place: Path) -> Path:
    around = next(folder for folder in place.parents if folder.exists())
    if place.is_dir() and not os.access(around, os.W_OK):
        return place / SUFFIX
    return place.parent / f".{place.name}{SUFFIX}"


def _is_same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _write_holder(handle: int) -> None:
    since = datetime.now(UTC).isoformat(sep=" ", timespec="seconds").replace("+00:00", " UTC")
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps({"pid": os.getpid(), "host": platform.node(), "since": since}).encode(), 0)


def _busy(place: Path, path: Path) -> Busy:
    try:
        found = json.loads(path.read_text("utf-8"))
        who = f"process {found['pid']} on {found['host']}, since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        who = "another process"
    return Busy(f"{place} is being written by {who}; wait until it ends, or give another place.")
