"""Changing an index: one transaction, after which readers that open it find the new state, and before it the old one.

    with changing(folder) as change:
        change.insert([Entry(root, "a.jpg", ...)], vectors)

Vectors go into a new pair of files, which count once the database says so. A change that is interrupted, however it
is, leaves files that nobody counts; the next change removes them.
"""

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...hub.errors import DataError
from ...hub.files.disk_errors import disk_errors
from ...hub.files.locks import sole_writer
from ..nearest.segments import Segment, SegmentWriter, gather, ids_name, in_blocks, vectors_name
from .about import FORMAT, About, new_database_id, parse_about, read_format, write_about
from .first_format import FILES as FIRST_FILES
from .image_index import unit_rows
from .state import dead_rows, open_segments, read_state
from .table import FILE, Table, create, open_to_write
from .upkeep import nearest_name, read_nearest, renew

MOST_SEGMENTS = 16  # beyond, the last ones are joined
LARGEST_DEAD_SHARE = 0.2  # of rows, before all files are written anew
_OWN_FILES = re.compile(r"(vectors|ids)-\d{6,}\.npy|nearest-\d{6,}\.faiss")


@dataclass(frozen=True)
class Entry:
    """What the index is to know of a photo; see `Item`. `root` is a number that `Change.root` gave."""

    root: int
    path: str
    sha256: str | None = None
    size: int | None = None
    date: str | None = None
    label: str | None = None
    modified_ns: int | None = None
    thumbnail: bytes | None = None

    def columns(self) -> tuple[int | str | bytes | None, ...]:
        """What the table of items keeps of it, but for id and row."""
        label = None if self.label is None else os.fsencode(self.label)
        return self.root, os.fsencode(self.path), self.sha256, self.size, self.date, label, self.modified_ns


class Change:
    """An index while it is changed; `changing` and `filling` make one."""

    def __init__(self, folder: Path, about: About, table: Table):
        self.folder, self.about, self.table = folder, about, table
        self._writer: SegmentWriter | None = None
        self.segments = open_segments(folder, table, about.dimension)
        self.rows = self.segments[-1].end if self.segments else 0
        self.next_id = table.whole("next_id")
        self.is_empty = True

    @property
    def rows_in_all(self) -> int:
        """Rows, those of this change too."""
        return self.rows + (0 if self._writer is None else self._writer.rows)

    def root(self, path: Path, *, is_scanned: bool = True) -> int:
        """The number of a folder that photos are from; a new one if need be."""
        self.table.change("INSERT OR IGNORE INTO roots (path, is_scanned) VALUES (?, 0)", [(os.fsencode(path),)])
        if self.table.ask("SELECT changes()")[0][0]:
            self.is_empty = False
        found = self.table.ask("SELECT id, is_scanned FROM roots WHERE path = ?", (os.fsencode(path),))[0]
        if is_scanned and not found[1]:
            self.table.change("UPDATE roots SET is_scanned = 1 WHERE id = ?", [(found[0],)])
            self.is_empty = False
        return int(found[0])

    def drop_roots(self, keys: Sequence[int]) -> None:
        """Forget those of some roots that have no photo, but not the last root."""
        for key in keys:
            self.table.change(
                "DELETE FROM roots WHERE id = ? AND id NOT IN (SELECT root FROM items) "
                "AND (SELECT count(*) FROM roots) > 1",
                [(key,)],
            )

    def insert(self, entries: Sequence[Entry], vectors: np.ndarray) -> list[int]:
        """Add photos; returns their ids.

        Args:
            vectors: (len(entries), F) float32, unit rows.

        Raises:
            IndexMismatch: another dimension.
            DataError: they are not of unit length.
        """
        ids = list(range(self.next_id, self.next_id + len(entries)))
        self.insert_as(ids, entries, vectors)
        return ids

    def insert_as(self, ids: Sequence[int], entries: Sequence[Entry], vectors: np.ndarray) -> None:
        """Add photos, or replace those that have an id already; arguments as for `insert`."""
        if not entries:
            return
        first = self._append(ids, vectors)
        self._bury(self.table.rows_of(ids).values())
        values = [(key, *entry.columns(), first + place) for place, (key, entry) in enumerate(zip(ids, entries))]
        self.table.change(
            "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET root = excluded.root, "
            "path = excluded.path, sha256 = excluded.sha256, size = excluded.size, date = excluded.date, "
            "label = excluded.label, modified_ns = excluded.modified_ns, row = excluded.row",
            values,
        )
        self._put_thumbnails({key: entry.thumbnail for key, entry in zip(ids, entries)})
        self.next_id = max(self.next_id, max(ids) + 1)

    def place(self, entries: Mapping[int, Entry]) -> None:
        """Say anew what is known of photos whose vectors stay, by id: where they are now, what their files contain."""
        if not entries:
            return
        aside = [(b"\0" + str(key).encode(), key) for key in entries]  # two photos may have exchanged their names
        self.table.change("UPDATE items SET path = ? WHERE id = ?", aside)
        values = [(*entry.columns(), key) for key, entry in entries.items()]
        self.table.change(
            "UPDATE items SET root = ?, path = ?, sha256 = ?, size = ?, date = ?, label = ?, modified_ns = ? "
            "WHERE id = ?",
            values,
        )
        self._put_thumbnails({key: entry.thumbnail for key, entry in entries.items()})
        self.is_empty = False

    def remove(self, ids: Sequence[int]) -> None:
        """Remove photos; their ids are not used again.

        Raises:
            DataError: an id is not in the index.
        """
        rows = self.table.rows_of(ids)
        unknown = next((key for key in ids if int(key) not in rows), None)
        if unknown is not None:
            raise DataError(f"{self.folder} has no image with id {unknown}; nothing was removed.")
        self._bury(rows.values())
        for table in ("items", "thumbnails"):
            self.table.change(f"DELETE FROM {table} WHERE id = ?", [(key,) for key in rows])

    def vectors_of(self, ids: Sequence[int]) -> np.ndarray:
        """(len(ids), F) of photos that were in the index before this change."""
        rows = self.table.rows_of(ids)
        return gather(self.segments, np.array([rows[int(key)] for key in ids], np.int64))

    def finish(self) -> None:
        """Put the vectors on disk, tidy up where that is due, and make it all count."""
        self._close_writer()
        dead = dead_rows(self.table, self.rows)
        if dead is not None and dead.sum() > LARGEST_DEAD_SHARE * self.rows:
            self._rewrite(0, dead)
        elif len(self.segments) > MOST_SEGMENTS:
            self._rewrite(_first_to_join(self.segments), None)
        self.table.put("next_id", self.next_id)
        self._put_generation()
        _write_folder_to_disk(self.folder)
        self.table.change("COMMIT")
        self._renew_nearest()

    def _renew_nearest(self) -> None:
        """A transaction of its own, since it may take minutes: what was changed counts already."""
        self.table.change("BEGIN IMMEDIATE")
        dead = dead_rows(self.table, self.rows)
        if not renew(self.folder, self.table, self.segments, dead, self.about.dimension):
            self.table.change("ROLLBACK")
            return
        self._put_generation()
        _write_folder_to_disk(self.folder)
        self.table.change("COMMIT")

    def _put_generation(self) -> None:
        self.table.put("count", self.table.count())  # so that nobody counts a million rows to open the index
        self.table.put("generation", max(self.table.whole("generation") + 1, time.time_ns() // 1000))

    def discard(self) -> None:
        """Forget what was changed."""
        if self._writer is not None:
            self._writer.discard()
        self.table.close()

    def _append(self, ids: Sequence[int], vectors: np.ndarray) -> int:
        """The row of the first of some vectors, which are written now."""
        vectors = unit_rows(vectors, self.about, self.folder)
        if self._writer is None:
            self._writer = SegmentWriter(self.folder, self._next_number(), self.about.dimension)
        first = self.rows_in_all
        self._writer.append(vectors, np.asarray(ids, np.int64))
        self.is_empty = False
        return first

    def _bury(self, rows: Iterable[int]) -> None:
        numbers = [(int(row),) for row in rows]
        if numbers:
            self.table.change("INSERT INTO dead_rows VALUES (?)", numbers)
            self.is_empty = False

    def _put_thumbnails(self, thumbnails: Mapping[int, bytes | None]) -> None:
        found = [(key, jpeg) for key, jpeg in thumbnails.items() if jpeg is not None]
        if found:
            self.table.change("INSERT OR REPLACE INTO thumbnails VALUES (?, ?)", found)

    def _next_number(self) -> int:
        number = int(self.table.get("next_number", 1))
        self.table.put("next_number", number + 1)
        return number

    def _close_writer(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        self._count_in(self._writer)
        self._writer = None

    def _count_in(self, writer: SegmentWriter) -> None:
        self.table.change("INSERT INTO segments VALUES (?, ?, ?)", [(self.rows, writer.number, writer.rows)])
        self.segments = open_segments(self.folder, self.table, self.about.dimension)
        self.rows = self.segments[-1].end

    def _rewrite(self, first: int, dead: np.ndarray | None) -> None:
        """Join the segments from the `first` on into one, without dead rows where these are given."""
        old = self.segments[first:]
        self.table.change("DELETE FROM segments WHERE first_row >= ?", [(old[0].first_row,)])
        self.rows = old[0].first_row
        writer = SegmentWriter(self.folder, self._next_number(), self.about.dimension)
        for segment in old:
            for place, vectors in in_blocks(segment.vectors):
                span = slice(segment.first_row + place, segment.first_row + place + len(vectors))
                alive = np.ones(len(vectors), bool) if dead is None else ~dead[span]
                writer.append(vectors[alive], segment.ids[place : place + len(vectors)][alive])
        if dead is not None:
            self._renumber(dead)
            self.table.change("DELETE FROM about WHERE key = 'nearest'")  # its rows are others now
        if not writer.rows:
            writer.discard()
            self.segments = open_segments(self.folder, self.table, self.about.dimension)
            return
        writer.close()
        self._count_in(writer)

    def _renumber(self, dead: np.ndarray) -> None:
        """Rows without the dead ones."""
        new = np.cumsum(~dead) - 1
        pairs = self.table.ask("SELECT id, row FROM items")
        self.table.change("UPDATE items SET row = ? WHERE id = ?", ((int(new[row]), key) for key, row in pairs))
        self.table.change("DELETE FROM dead_rows")


@contextmanager
def changing(folder: Path) -> Iterator[Change]:
    """Change an index: all that the block does counts when it ends well, and nothing when it raises.

    Raises:
        ArtifactError: there is no sound index.
        Busy: another process writes it.
    """
    read_format(folder)  # there is one
    with sole_writer(folder), disk_errors(folder):
        number, content = read_format(folder)
        if number != FORMAT:
            convert(folder)
            _, content = read_format(folder)
        table = open_to_write(folder)
        remove_unused(folder, table)
        about, _ = parse_about(folder, content, list(table.roots().values()))
        with _change(folder, about, table) as change:
            yield change


@contextmanager
def filling(folder: Path, about: About, *, kind: str | None = None, is_scanned: bool = True) -> Iterator[Change]:
    """Fill a new folder, which nobody else knows yet, with an index.

    Args:
        kind: of faiss index, from now on; by default one that suits the number of vectors.
        is_scanned: whether a refresh looks for further photos in the root.
    """
    database = new_database_id()
    table = _create(folder, about, database, is_scanned=is_scanned)
    if kind is not None:
        table.put("forced_kind", kind)
    with _change(folder, about, table) as change:
        change.is_empty = False
        yield change
    write_about(folder, about, database)


def convert(folder: Path) -> None:
    """Make an index of the first format one of today's; until the last step it stays what it was."""
    state = read_state(folder)
    number, _ = read_format(folder)
    if number == FORMAT:
        return
    for path in _files(folder):
        path.unlink()
    database = new_database_id()
    table = _create(folder, state.about, database)
    for root in state.table.ask("SELECT id, path, is_scanned FROM roots WHERE id > 1"):
        table.change("INSERT INTO roots VALUES (?, ?, ?)", [root])
    with _change(folder, state.about, table) as change:
        ids = [item.id for item in state.table.items()]
        roots = {path: key for key, path in table.roots().items()}
        entries = [
            Entry(roots[item.root], item.path, None, item.size, None, item.label, item.modified_ns)
            for item in state.table.items()
        ]
        for first in range(0, len(ids), 4096):
            some = ids[first : first + 4096]
            rows = state.table.rows_of(some)
            vectors = gather(state.segments, np.array([rows[key] for key in some], np.int64))
            change.insert_as(some, entries[first : first + 4096], vectors)
        change.next_id = max(change.next_id, state.table.whole("next_id"))
        change.is_empty = False
    write_about(folder, state.about, database)  # from here on it is today's
    for name in FIRST_FILES:
        (folder / name).unlink(missing_ok=True)


def _first_to_join(segments: Sequence[Segment]) -> int:
    """Where the last segments begin that are small beside those after them, so that few rows are rewritten often."""
    first = len(segments) - 2
    total = len(segments[-1]) + len(segments[first])
    while first and len(segments[first - 1]) <= 4 * total:
        first -= 1
        total += len(segments[first])
    return first


def remove_unused(folder: Path, table: Table) -> None:
    """Remove the files that no change counts any more, or that one that was killed left."""
    numbers = [number for (number,) in table.ask("SELECT number FROM segments")]
    counted = {name(number) for number in numbers for name in (vectors_name, ids_name)}
    nearest = read_nearest(table)
    if nearest is not None:
        counted.add(nearest_name(nearest.number))
    for path in folder.iterdir():
        if (_OWN_FILES.fullmatch(path.name) or path.name in FIRST_FILES) and path.name not in counted:
            with suppress(OSError):  # on Windows a reader keeps it; the next change removes it
                path.unlink()


@contextmanager
def _change(folder: Path, about: About, table: Table) -> Iterator[Change]:
    change = Change(folder, about, table)
    try:
        yield change
        if change.is_empty:
            table.change("ROLLBACK")
        else:
            change.finish()
            remove_unused(folder, table)
    except BaseException:
        change.discard()
        raise
    table.close()


def _create(folder: Path, about: About, database: str, *, is_scanned: bool = True) -> Table:
    table = create(folder / FILE)
    table.change("PRAGMA synchronous = FULL")
    table.change("BEGIN IMMEDIATE")
    table.put("database", database)
    table.put("generation", 0)
    table.put("next_id", 0)
    table.change("INSERT INTO roots VALUES (1, ?, ?)", [(os.fsencode(about.root), is_scanned)])
    return table


def _files(folder: Path) -> list[Path]:
    """What an interrupted conversion left."""
    mine = [path for path in folder.iterdir() if _OWN_FILES.fullmatch(path.name)]
    return mine + [path for path in (folder / f"{FILE}{end}" for end in ("", "-wal", "-shm")) if path.exists()]


def _write_folder_to_disk(folder: Path) -> None:
    """So that the names of new files survive a crash of the system."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
