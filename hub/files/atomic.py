"""Outputs appear whole or not at all: written beside their final name, flushed to disk, then renamed."""

import ctypes
import errno
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .disk_errors import disk_errors
from .leftovers import own_file, own_folder, remove_leftovers
from .locks import refuse_busy, sole_writer
from .overwrite import FolderKind, Input, mark, refuse_folder

_HERE, _RENAME_EXCHANGE = -100, 2  # of <fcntl.h> and <linux/fs.h>: AT_FDCWD, RENAME_EXCHANGE


@contextmanager
def new_folder(
    out: Path, overwrite: bool = False, *, kind: FolderKind, inputs: Sequence[Input] = (), wait_s: float = 0.0
) -> Iterator[Path]:
    """A temporary folder beside `out`: becomes `out` when the block ends well, deleted when it raises.

    With `overwrite` the old folder stays until the new one is complete; where the system can exchange two folders,
    readers find one or the other at any moment.

    Args:
        kind: what is written; only a folder of this kind is ever replaced.
        inputs: what it is made from, and must not replace.
        wait_s: how long to wait for another process that writes `out`; by default it is refused at once.

    Raises:
        OutputExists: `out` exists and must not be replaced.
        Busy: another process writes `out`.
        GoodviewsError: the disk is full or the place cannot be written.
    """
    if not wait_s:
        refuse_busy(out)
    refuse_folder(out, overwrite, kind=kind, inputs=inputs)
    with disk_errors(out), sole_writer(out, wait_s=wait_s):
        refuse_folder(out, overwrite, kind=kind, inputs=inputs)  # another process may have made it meanwhile
        with own_folder(out, ".partial") as partial:
            yield partial
            mark(partial, kind)
            partial.chmod(0o777 & ~_umask())
            _replace_folder(partial, out)


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file whole: a reader sees the old content or the new one, also after a crash."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        with own_file(path, ".partial") as (handle, partial):
            with os.fdopen(os.dup(handle), "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            partial.chmod(0o666 & ~_umask())
            partial.replace(path)
    return path


def write_text(path: Path, text: str) -> Path:
    """`write_bytes` for UTF-8 text; names of files that are not UTF-8 keep their bytes."""
    return write_bytes(path, text.encode("utf-8", "surrogateescape"))


def write_json(path: Path, value: Any) -> Path:
    """`write_bytes` for JSON, indented, keys in the order given; NaN is refused, since JSON has none.

    What is not UTF-8 in names of files stands as an escape, so that the file itself is UTF-8 and gives them back.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return write_text(path, re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text))


def _replace_folder(partial: Path, out: Path) -> None:
    """Give `partial` the name `out`; what had that name is deleted once the new folder has it."""
    if not (out.exists() or out.is_symlink()):
        partial.rename(out)
    elif not _exchange(partial, out):
        with own_folder(out, ".old") as aside:
            old = out.rename(aside / out.name)
            try:
                partial.rename(out)
            except OSError:
                old.rename(out)
                raise


def _exchange(one: Path, other: Path) -> bool:
    """Let two places swap their names in one step; False where the system or its disk cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        return False
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM):
        return False
    raise OSError(number, os.strerror(number), str(other))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
