"""Paths in JSON and back: one text whatever the locale of those who write and read it, and also where it is no UTF-8.

Python knows bytes of a name that its locale cannot decode as surrogates, all of "é" in an ASCII locale. In files stands
what a UTF-8 locale sees.
"""

import os


def as_stored(path: str | os.PathLike[str]) -> str:
    """A path of this process as files hold it."""
    return os.fsencode(path).decode("utf-8", "surrogateescape")


def as_native(stored: str) -> str:
    """A path that a file holds, as this process opens it.

    Raises:
        ValueError: no path has such characters.
    """
    native = os.fsdecode(stored.encode("utf-8", "surrogateescape"))
    if "\0" in native:
        raise ValueError("a path holds no zero byte")
    return native
