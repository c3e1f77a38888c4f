"""Outputs appear whole or not at all: written beside their final name, flushed to disk, then renamed."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import GoodviewsError, OutputExists


@contextmanager
def new_folder(out: Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder beside `out`: renamed to `out` when the block ends well, deleted when it raises.

    With `overwrite` the old folder stays until the new one is complete.

    Raises:
        OutputExists: `out` exists and `overwrite` is off.
        GoodviewsError: the disk is full or the place cannot be written.
    """
    refuse_existing(out, overwrite)
    with _disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    try:
        with _disk_errors(out):
            yield partial
            partial.chmod(0o777 & ~_umask())
            _replace_folder(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def refuse_existing(out: Path, overwrite: bool) -> None:
    """Raise OutputExists if `out` exists and must not be replaced; an empty folder may always be filled."""
    is_empty_folder = out.is_dir() and not any(out.iterdir())
    if not overwrite and not is_empty_folder and (out.exists() or out.is_symlink()):
        raise OutputExists(out)


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file whole: a reader sees the old content or the new one, also after a crash."""
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        partial = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            partial.chmod(0o666 & ~_umask())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return path


def write_text(path: Path, text: str) -> Path:
    """`write_bytes` for UTF-8 text."""
    return write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> Path:
    """`write_bytes` for JSON, indented, keys in the order given; NaN is refused, since JSON has none."""
    return write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG, errno.ENAMETOOLONG}


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write into one sentence; what was there before stays."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS and not isinstance(error, NotADirectoryError):
            raise
        raise GoodviewsError(
            f"Could not write {path}: {error.strerror}. Nothing there was changed; free space or give another place."
        ) from error


def _replace_folder(partial: Path, out: Path) -> None:
    """Move `partial` to `out`; an old `out` is moved aside first, and deleted once the new one is in place."""
    if not out.exists():
        partial.rename(out)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".old", dir=out.parent))
    old = out.rename(aside / out.name)
    try:
        partial.rename(out)
    except OSError:
        old.rename(out)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
