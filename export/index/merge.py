"""Several indexes of one encoder as one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...hub.errors import UsageError
from ...hub.files.atomic import new_folder
from ...hub.files.overwrite import refuse_folder
from .about import About
from .change import Change, Entry, filling
from .image_index import ImageIndex, load

ITEMS_AT_ONCE = 4096


@dataclass(frozen=True)
class Merged:
    """What a merge made.

    Attributes:
        index: the new one.
        twice: photos that a later index names too, and that are in it once.
    """

    index: ImageIndex
    twice: int


def merge(folders: Sequence[Path], out: Path, *, overwrite: bool = False) -> Merged:
    """Write the photos of several indexes into a new one.

    Photos of the first keep their ids; of a photo that several name, the first of them counts.

    Raises:
        UsageError: fewer than two indexes.
        IndexMismatch: another encoder made the vectors of one.
        OutputExists: `out` exists and `overwrite` is off.
    """
    if len(folders) < 2:
        raise UsageError(f"There are {len(folders)} indexes to merge; give two or more.")
    refuse_folder(out, overwrite, kind="index", inputs=folders)
    indexes = [load(folder) for folder in folders]
    first = indexes[0]
    for other in indexes[1:]:
        first.refuse_other(other.about.encoder)
    about = About(first.about.encoder, first.about.source, first.about.backend, first.about.root)
    scanned = first.scanned_roots
    seen: set[Path] = set()
    with (
        new_folder(out, overwrite, kind="index", inputs=folders) as partial,
        filling(partial, about, is_scanned=about.root in scanned) as change,
    ):
        twice = sum(_copy(index, change, seen, keeps_ids=index is first) for index in indexes)
    return Merged(load(out), twice)


def _copy(index: ImageIndex, change: Change, seen: set[Path], *, keeps_ids: bool) -> int:
    """Take over the photos that are not there yet; returns how many were."""
    items = [item for item in index.items if item.full_path not in seen]
    roots = {
        root: change.root(root, is_scanned=root in index.scanned_roots)
        for root in (index.about.root, *index.about.further_roots)
    }
    for first in range(0, len(items), ITEMS_AT_ONCE):
        some = items[first : first + ITEMS_AT_ONCE]
        entries = [
            Entry(
                roots[item.root],
                item.path,
                item.sha256,
                item.size,
                item.date,
                item.label,
                item.modified_ns,
                index.stored_thumbnail(item.id),
            )
            for item in some
        ]
        vectors = index.vectors_of([item.id for item in some])
        if keeps_ids:
            change.insert_as([item.id for item in some], entries, vectors)
        else:
            change.insert(entries, vectors)
    if keeps_ids:
        change.next_id = max(change.next_id, index.next_id)
    seen.update(item.full_path for item in items)
    return len(index) - len(items)
