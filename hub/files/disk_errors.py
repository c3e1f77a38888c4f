"""The operating system's refusal to write, as one sentence."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import GoodviewsError

_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG, errno.ENAMETOOLONG}
_DISK_ERRORS |= {errno.ENOTDIR, errno.ELOOP}


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write into one sentence; what was there before stays."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileExistsError) and Path(error.filename).is_file():  # where a folder had to be made
            raise GoodviewsError(
                f"Could not write {path}: {error.filename} is a file, not a folder; give another place."
            ) from error
        if error.errno not in _DISK_ERRORS:
            raise
        raise GoodviewsError(
            f"Could not write {path}: {error.strerror}. Nothing there was changed; free space or give another place."
        ) from error
