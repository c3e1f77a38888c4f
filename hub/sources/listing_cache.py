"""Listings that took long to make, saved for the next run and used only while nothing they were made of has changed.

A folder's listing is made of its folders' modification times, which adding, removing or renaming a file in them
changes; shards' listing of the shards' sizes and times. Something that was changed less than `SETTLED_S` ago may be
changed again without its time showing it (clocks of file systems tick slowly), so such a listing is not saved.

The listings lie in the cache folder (see hub.files.cache); nothing is written beside the data.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import GoodviewsError
from ..files.atomic import write_bytes
from ..files.cache import cache_folder

log = logging.getLogger(__name__)

Arrays = dict[str, NDArray[Any]]
Stamps = Mapping[str, int]  # what a listing was made of -> when that was last changed, in nanoseconds

FORMAT = 2
SETTLED_S = 2.0


def recall(kind: str, root: Path) -> Arrays | None:
    """The listing saved for `root`; None when there is none or something it was made of has changed."""
    path = _path(kind, root)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        stamps: Stamps = json.loads(arrays.pop("stamps").tobytes())
        if all((root / name).stat().st_mtime_ns == stamp for name, stamp in stamps.items()):
            return arrays
    except (OSError, ValueError, KeyError, EOFError):  # no file, an old or damaged one, or a folder that is gone
        return None
    return None


def save(kind: str, root: Path, arrays: Arrays, stamps: Stamps, *, start_s: float) -> bool:
    """Save a listing for the next run, if it can be trusted then; returns whether it was saved.

    A cache that cannot be written costs time, not the run: the log says so.

    Args:
        start_s: when listing started, by `now`.
    """
    if not stamps or max(stamps.values()) > (start_s - SETTLED_S) * 1e9:
        return False
    content = BytesIO()
    whole: dict[str, Any] = arrays | {"stamps": np.frombuffer(json.dumps(dict(stamps)).encode(), np.uint8)}
    np.savez(content, **whole)
    try:
        write_bytes(_path(kind, root), content.getvalue())
    except (GoodviewsError, OSError) as error:
        log.warning("the listing of %s is not saved for next time: %s", root, error)
        return False
    return True


def recall_stamped(stamp: str) -> Arrays | None:
    """The listing saved under a stamp that changes with what was listed; None when there is none."""
    try:
        with np.load(_stamped_path(stamp), allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, EOFError):
        return None


def save_stamped(stamp: str, arrays: Arrays, *, what: str) -> None:
    """Save a listing under such a stamp; a cache that cannot be written costs time, not the run."""
    content = BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    try:
        write_bytes(_stamped_path(stamp), content.getvalue())
    except (GoodviewsError, OSError) as error:
        log.warning("the listing of %s is not saved for next time: %s", what, error)


def now() -> float:
    """Seconds since 1970, as file systems count."""
    return time.time()


def _stamped_path(stamp: str) -> Path:
    return cache_folder() / "listings" / f"{hashlib.sha256(f'{FORMAT} {stamp}'.encode()).hexdigest()[:32]}.npz"


def _path(kind: str, root: Path) -> Path:
    key = f"{FORMAT} {kind} {root.resolve()}"
    return cache_folder() / "listings" / f"{hashlib.sha256(os.fsencode(key)).hexdigest()[:32]}.npz"
