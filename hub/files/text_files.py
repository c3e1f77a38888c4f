"""Text that others wrote: UTF-8 with a byte order mark or without, or UTF-16 with one, whatever the locale."""

import codecs
from pathlib import Path


def read_text(path: Path) -> str:
    """The text of a file.

    What is not UTF-8 stays as surrogates, as in paths: so names of files that are not UTF-8 are found by it, and
    `is_text` tells that it is there.

    Raises:
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    return content.decode("utf-8-sig", "surrogateescape")


def is_text(text: str) -> bool:
    """Whether all of it is UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
