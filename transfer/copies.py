"""Files that are there twice: equal bytes, whatever their names. Only files of equal size are read."""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

MOST_COMPARED = 50_000  # photos beside which a measurement still looks for copies; --check always does
_HEAD = 4096  # bytes that are compared before whole files are read
log = logging.getLogger(__name__)


def note_copies(train: Sequence[Path], test: Sequence[Path]) -> dict[str, int]:
    """For `Measurement.details`: how many test photos were trained on too, which a warning says as well.

    Empty where none is, and where there are too many photos to look.
    """
    if len(train) + len(test) > MOST_COMPARED:
        return {}
    copies = len(list(copies_between(train, test)))
    if copies:
        log.warning(
            "%d of %d test photos are training photos too, byte for byte: the score is too high; --check names them",
            copies,
            len(test),
        )
    return {"test_photos_in_training": copies} if copies else {}


def copies_between(train: Sequence[Path], test: Sequence[Path]) -> Iterator[str]:
    """A sentence for each test photo whose bytes are those of a training photo under another path."""
    known = _by_size(train)
    for path in _existing(test):
        for other in known[path.stat().st_size]:
            if other != path and _head(other) == _head(path) and _digest(other) == _digest(path):
                yield f"{path} is the training photo {other} too; take it out of one of the two parts."
                break


def copies_within(paths: Sequence[Path], part: str) -> Iterator[str]:
    """A sentence that counts the photos of a part that are there under two names; none where none are."""
    copies = []
    for same_size in _by_size(paths).values():
        first_of: dict[bytes, Path] = {}
        for path in same_size if len(same_size) > 1 else ():
            first = first_of.setdefault(_digest(path), path)
            if first != path:
                copies.append((path, first))
    if copies:
        yield (
            f"{len(copies)} {part} photos are there twice, byte for byte: {copies[0][0]} is {copies[0][1]}"
            f"{', and so on' if len(copies) > 1 else ''}."
        )


def _by_size(paths: Iterable[Path]) -> dict[int, list[Path]]:
    sizes: dict[int, list[Path]] = defaultdict(list)
    for path in _existing(paths):
        sizes[path.stat().st_size].append(path)
    return sizes


def _existing(paths: Iterable[Path]) -> Iterator[Path]:
    return (path for path in dict.fromkeys(paths) if path.is_file())


def _head(path: Path) -> bytes:
    with path.open("rb") as content:
        return content.read(_HEAD)


def _digest(path: Path) -> bytes:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").digest()
