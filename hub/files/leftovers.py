"""What a killed process leaves beside its output: found by the next one that writes there, and removed.

A name ends with .partial (not complete), .old (moved aside) or .lock (see locks). Whoever writes holds a lock on it,
which the system releases when the process ends, however it ends; so what is locked is alive, on this machine or another
that shares the folder. Where the system has no such locks nothing is removed.
"""

import contextlib
import errno
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".goodviews"  # in a folder, the marker that says what it is; a file is its own lock


_held: set[int] = set()  # open locks of this process


def hold(handle: int) -> None:
    """Keep a lock from the forks of this process: a loader worker that outlives it would hold the lock for it."""
    _held.add(handle)


def let_go(handle: int) -> None:
    """Close a lock; in a fork, which has none, nothing happens."""
    if handle in _held:
        _held.discard(handle)
        os.close(handle)


def _forget_in_a_fork() -> None:
    for handle in _held:
        os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_a_fork)


@contextmanager
def own_folder(out: Path, suffix: str) -> Iterator[Path]:
    """A new folder beside `out`, locked while the block runs, and removed after it where it is still there."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=suffix, dir=out.parent))
        try:
            handle = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o666)
        except FileNotFoundError:  # another process took the empty folder for a leftover
            continue
        if _lock(handle, folder / LOCK):
            break
    hold(handle)
    try:
        yield folder
    finally:
        let_go(handle)
        remove(folder)


@contextmanager
def own_file(out: Path, suffix: str) -> Iterator[tuple[int, Path]]:
    """A new file beside `out`, open and locked while the block runs, and removed after it where it is still there."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{out.name}.", suffix=suffix, dir=out.parent)
        if _lock(handle, Path(name)):
            break
    try:
        yield handle, Path(name)
    finally:
        os.close(handle)
        Path(name).unlink(missing_ok=True)


def remove_leftovers(out: Path) -> None:
    """Remove what processes that are dead left beside `out`; what they had moved aside and not replaced is put back."""
    for suffix in (".old", ".partial", ".lock"):
        for place in out.parent.glob(f".{glob.escape(out.name)}.*{suffix}"):
            with contextlib.suppress(OSError), _if_dead(place) as is_dead:
                if not is_dead:
                    continue
                aside = place / out.name
                if suffix == ".old" and aside.exists() and not out.exists():
                    aside.rename(out)
                remove(place)


def remove(place: Path) -> None:
    """Remove a folder, a file or a link, if it is there."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


@contextmanager
def _if_dead(place: Path) -> Iterator[bool]:
    """Whether nobody holds the lock of `place`; this process holds it then while the block runs."""
    if fcntl is None:
        yield False
        return
    lock = place / LOCK if place.is_dir() else place
    if not lock.is_file():
        place.rmdir()  # empty, or an earlier version's, which OSError leaves alone
        yield False
        return
    handle = os.open(lock, os.O_RDWR)
    try:
        yield try_lock(handle) is True
    finally:
        os.close(handle)


def try_lock(handle: int) -> bool | None:
    """Lock an open file if nobody else has; None where the system or its disk has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EAGAIN, errno.EACCES, errno.EINTR) else None
    return True


def _lock(handle: int, path: Path) -> bool:
    """Lock a file that was just made; False, with the file closed, where another process removed it meanwhile."""
    if fcntl is None:
        return True
    with contextlib.suppress(OSError):  # a file system without locks: then nothing is ever taken for a leftover
        fcntl.flock(handle, fcntl.LOCK_EX)
    if path.exists():
        return True
    os.close(handle)
    return False
