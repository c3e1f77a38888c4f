"""What became of the photos of an index: which are new, changed, renamed, moved or gone, by the content of their files.

A photo whose file has the size and time that the index knows is unchanged, and is not read. Of any other file the
digest decides: where it is that of a photo whose own place is empty or taken by something else, the photo went there
and keeps its id and vector.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...hub.errors import DataError
from ...hub.images import SkippedImages
from .embed_photos import Place
from .item import Item
from .read_photos import Content, content_of

Stat = tuple[int, int]  # size in bytes, time of change in nanoseconds


@dataclass(frozen=True)
class File:
    """A file that was found; `content` where it had to be read."""

    path: Path
    place: Place
    content: Content


@dataclass
class Plan:
    """What is to be done.

    Attributes:
        new: files to embed under a new id.
        changed: files to embed under an old id, with that id's photo.
        copies: files to take in under a new id with the vector of a photo of the same content.
        went: photos that are in another place now.
        touched: photos whose file has another time, or of which the digest was not known yet.
        incomplete: of the touched: those whose date and thumbnail are missing too.
        gone: photos whose file is nowhere.
        unchanged: how many others.
        unreadable: files, with the reason.
    """

    new: list[File] = field(default_factory=list)
    changed: list[tuple[Item, File]] = field(default_factory=list)
    copies: list[tuple[Item, File]] = field(default_factory=list)
    went: list[tuple[Item, File]] = field(default_factory=list)
    touched: list[tuple[Item, File]] = field(default_factory=list)
    gone: list[Item] = field(default_factory=list)
    unchanged: int = 0
    unreadable: SkippedImages = field(default_factory=SkippedImages)

    @property
    def is_empty(self) -> bool:
        return not (self.new or self.changed or self.copies or self.went or self.touched or self.gone)


def make_plan(
    items: Iterable[Item], files: Mapping[Path, Place], *, is_gone: Callable[[Item], bool], forgets: bool
) -> Plan:
    """Compare an index with files.

    Args:
        files: that were found, by their full path.
        is_gone: whether the file of a photo that is not among `files` is gone.
        forgets: whether photos that are gone leave the index.
    """
    plan, at, contents = Plan(), {item.full_path: item for item in items}, _Contents()
    odd: list[tuple[Item | None, File]] = []
    for path, place in files.items():
        _look(path, place, at.get(path), plan, odd)
    missing = [item for path, item in at.items() if path not in files]
    if not forgets and not odd:
        return plan
    gone = [item for item in missing if is_gone(item)]
    for item in [*gone, *(item for item, _ in odd if item is not None)]:
        contents.add(item)
    moved: set[int] = set()
    rest: list[tuple[Item | None, File]] = []
    for old, file in odd:
        known = contents.take(file)
        if known is None:
            rest.append((old, file))
        else:
            plan.went.append((known, file))
            moved.add(known.id)
    _embed(rest, moved, at, files, plan)
    plan.gone = [item for item in gone if item.id not in moved] if forgets else []
    return plan


def _look(path: Path, place: Place, item: Item | None, plan: Plan, odd: list[tuple[Item | None, File]]) -> None:
    """One file: unchanged, touched, unreadable, or odd: in a place that knows other content or none."""
    try:
        if item is not None and item.sha256 is not None and _stat(path) == (item.size, item.modified_ns):
            plan.unchanged += 1
            return
        file = File(path, place, content_of(path))
    except DataError as error:
        plan.unreadable.add(path, str(error))
        return
    stat = (file.content.size, file.content.modified_ns)
    is_same = item is not None and (
        item.sha256 == file.content.sha256 or (item.sha256 is None and stat == (item.size, item.modified_ns))
    )
    if item is not None and is_same:
        plan.touched.append((item, file))
    else:
        odd.append((item, file))


def _embed(
    rest: list[tuple[Item | None, File]], moved: set[int], at: dict[Path, Item], files: Mapping[Path, Place], plan: Plan
) -> None:
    """The files that are no known photo in another place."""
    changed = {item.id for item, _ in rest if item is not None}
    known = {item.sha256: item for item in at.values() if item.sha256 is not None and item.id not in changed}
    for item, file in rest:
        twin = known.get(file.content.sha256)
        if item is not None and item.id not in moved:
            plan.changed.append((item, file))
        elif twin is not None:
            plan.copies.append((twin, file))
        else:
            plan.new.append(file)


class _Contents:
    """Photos that are not where they were, by what their files contained."""

    def __init__(self) -> None:
        self._by_digest: dict[str, list[Item]] = defaultdict(list)
        self._by_stat: dict[Stat, list[Item]] = defaultdict(list)

    def add(self, item: Item) -> None:
        if item.sha256 is not None:
            self._by_digest[item.sha256].append(item)
        elif item.size is not None and item.modified_ns is not None:
            self._by_stat[item.size, item.modified_ns].append(item)

    def take(self, file: File) -> Item | None:
        """A photo of this content, if possible one of the same name; it is taken once."""
        content = file.content
        # Renaming changes neither size nor time, which is all that is known of photos of the first format.
        for found in (self._by_digest.get(content.sha256), self._by_stat.get((content.size, content.modified_ns))):
            if found:
                item = next((one for one in found if one.full_path.name == file.path.name), found[0])
                found.remove(item)
                return item
        return None


def _stat(path: Path) -> Stat:
    try:
        status = path.stat()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "a link that leads nowhere"
        raise DataError(f"{path} cannot be read ({reason}); check the path.") from None
    return status.st_size, status.st_mtime_ns
