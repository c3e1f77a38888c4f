"""The operating system's refusal to write, as one sentence."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import GoodviewsError

_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG, errno.ENAMETOOLONG}


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write into one sentence; what was there before stays."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS and not isinstance(error, NotADirectoryError):
            raise
        raise GoodviewsError(
            f"Could not write {path}: {error.strerror}. Nothing there was changed; free space or give another place."
        ) from error
