"""What an index says of its photos, and which of them a search is among."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from ...hub.errors import UsageError

PARTS_OF_A_SPLIT = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


@dataclass(frozen=True)
class Item:
    """One photo of an index.

    Attributes:
        id: never given to another photo again, also after a removal; a photo that is renamed or changed keeps it.
        path: relative to `root`, with forward slashes.
        root: folder that the photo was found in.
        sha256: of its file; None in an index of an earlier goodviews, until it is changed.
        size: of its file in bytes; None where it is unknown.
        date: when it was taken, ISO 8601; None where the file does not say.
        label: its class folder: the first folder of its path, or the one below train, val or test; None without one.
        modified_ns: when the file was changed, to notice that it was again.
    """

    id: int
    path: str
    root: Path
    sha256: str | None = None
    size: int | None = None
    date: str | None = None
    label: str | None = None
    modified_ns: int | None = None

    @property
    def full_path(self) -> Path:
        """Where its file lies; whether it may be opened says `ImageIndex.locate`."""
        return Path(os.path.normpath(self.root / self.path))


@dataclass(frozen=True)
class Match:
    """A search result: cosine similarity, 1 for the same direction."""

    item: Item
    similarity: float


@dataclass(frozen=True)
class Filter:
    """Which photos a search is among; all that is given must hold.

    Attributes:
        folder: that they lie below: relative to a root, or absolute.
        label: that they have.
        after: ISO date or time: taken then or later.
        before: ISO date or time: taken earlier. Photos that do not say when they were taken match no date.

    Raises:
        UsageError: a date is none.
    """

    folder: str | Path | None = None
    label: str | None = None
    after: str | None = None
    before: str | None = None

    def __post_init__(self) -> None:
        for name in ("after", "before"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _iso(name, value))

    def __bool__(self) -> bool:
        return any(value is not None for value in (self.folder, self.label, self.after, self.before))


def label_of(path: str) -> str | None:
    """The class folder of a path from a root on."""
    folders = path.split("/")[:-1]
    if len(folders) > 1 and folders[0].lower() in PARTS_OF_A_SPLIT:
        return folders[1]
    return folders[0] if folders else None


def largest_id(items: Sequence[Item]) -> int:
    """-1 without items."""
    return max((item.id for item in items), default=-1)


def _iso(name: str, text: str) -> str:
    """The time as items hold it, without a zone: cameras write none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{name} is {text!r}, which is no date; write it as in 2024-05-31.") from None
    if len(text) == len(date.min.isoformat()):
        return moment.date().isoformat()
    return moment.replace(tzinfo=None).isoformat(timespec="seconds")
