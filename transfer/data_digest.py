"""The data that a number was measured on: a digest of their files, so that no report passes for one of other data."""

import hashlib
from collections.abc import Sequence
from pathlib import Path


def digest_of(root: Path, files: Sequence[Path]) -> str:
    """16 hexadecimal digits over every file's path in `root` and its bytes, counted; the order of files is ignored.

    Files that hold labels count by their content: a corrected box seldom changes their length.
    """
    lines = sorted(f"{file.relative_to(root).as_posix()} {file.stat().st_size}{_labels(file)}" for file in files)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _labels(file: Path) -> str:
    if file.suffix.lower() not in (".xml", ".json"):
        return ""
    with file.open("rb") as content:
        return f" {hashlib.file_digest(content, 'sha256').hexdigest()}"
