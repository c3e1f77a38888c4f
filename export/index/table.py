"""The database of an index, index.sqlite: its photos, their thumbnails, and which files of vectors count.

SQLite in WAL mode: one transaction is one change of the index. A reader's transaction lasts as long as it is open, so
it sees the index as it was then, whatever a writer does meanwhile. Paths are bytes, as the system has them.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from ...hub.errors import ArtifactError, Busy, DataError, GoodviewsError
from .item import Filter, Item

FILE = "index.sqlite"
SCHEMA = """
CREATE TABLE about (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE roots (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, is_scanned INTEGER NOT NULL);
CREATE TABLE items (
    id INTEGER PRIMARY KEY, root INTEGER NOT NULL, path BLOB NOT NULL, sha256 TEXT, size INTEGER, date TEXT,
    label BLOB, modified_ns INTEGER, row INTEGER NOT NULL, UNIQUE (root, path)
);
CREATE INDEX items_by_content ON items (sha256);
CREATE TABLE thumbnails (id INTEGER PRIMARY KEY, jpeg BLOB NOT NULL);
CREATE TABLE segments (first_row INTEGER PRIMARY KEY, number INTEGER NOT NULL, rows INTEGER NOT NULL);
CREATE TABLE dead_rows (row INTEGER PRIMARY KEY);
"""
_COLUMNS = "id, path, root, sha256, size, date, label, modified_ns"
_AT_ONCE = 500  # SQLite's own limit of values in a statement was 999 once
_PATIENCE_S = 30.0  # for another process that writes


class Table:
    """An open database; several threads may ask it."""

    def __init__(self, connection: sqlite3.Connection, place: Path):
        self.place = place
        self._connection, self._lock = connection, RLock()
        self._roots: dict[int, Path] = {}

    def close(self) -> None:
        """Let go of it."""
        with self._lock:
            self._connection.close()

    def ask(self, question: str, values: Sequence[Any] = ()) -> list[Any]:
        """The rows of an answer.

        Raises:
            ArtifactError: the database is damaged.
        """
        with self._lock, _sentences(self.place):
            return self._connection.execute(question, values).fetchall()

    def change(self, statement: str, rows: Iterable[Sequence[Any]] = ((),)) -> None:
        """Run a statement once for each row of values."""
        with self._lock, _sentences(self.place):
            self._connection.executemany(statement, rows) if rows != ((),) else self._connection.execute(statement)

    def get(self, key: str, default: Any = None) -> Any:
        """A single value of the index as a whole."""
        found = self.ask("SELECT value FROM about WHERE key = ?", (key,))
        return found[0][0] if found else default

    def put(self, key: str, value: Any) -> None:
        self.change("INSERT OR REPLACE INTO about VALUES (?, ?)", [(key, value)])

    def whole(self, key: str) -> int:
        """A whole number that every index has.

        Raises:
            ArtifactError: it has none.
        """
        value = self.get(key)
        if not isinstance(value, int):
            raise ArtifactError(f"{self.place} has {value!r:.60} for {key}; the index is damaged, build it again.")
        return value

    def roots(self) -> dict[int, Path]:
        """The folders that photos are from, the first is the one that the index was built from."""
        return {key: Path(os.fsdecode(path)) for key, path in self.ask("SELECT id, path FROM roots ORDER BY id")}

    def scanned_roots(self) -> list[int]:
        """The ids of the folders that were given whole, so that a refresh looks for new photos there."""
        return [key for (key,) in self.ask("SELECT id FROM roots WHERE is_scanned ORDER BY id")]

    def count(self) -> int:
        return int(self.ask("SELECT count(*) FROM items")[0][0])

    def items(self, condition: str = "", values: Sequence[Any] = ()) -> list[Item]:
        """Those that meet an SQL condition, in the order of their ids."""
        found = self.ask(f"SELECT {_COLUMNS} FROM items {condition} ORDER BY id", values)
        return [self._item(row) for row in found]

    def items_of(self, ids: Sequence[int]) -> dict[int, Item]:
        """Those with some ids."""
        found: dict[int, Item] = {}
        for some in _some(ids):
            marks = ",".join("?" * len(some))
            found |= {item.id: item for item in self.items(f"WHERE id IN ({marks})", some)}
        return found

    def rows_of(self, ids: Sequence[int]) -> dict[int, int]:
        """Where the vectors of some photos are, by id."""
        found: dict[int, int] = {}
        for some in _some(ids):
            marks = ",".join("?" * len(some))
            found |= dict(self.ask(f"SELECT id, row FROM items WHERE id IN ({marks})", some))
        return found

    def matching(self, among: Filter) -> tuple[np.ndarray, np.ndarray]:
        """The ids, and the rows, of the photos that a filter lets pass, in the order of their ids."""
        condition, values = _condition(among, self.roots())
        found = self.ask(f"SELECT id, row FROM items WHERE {condition} ORDER BY id", values)
        pairs = np.array(found, np.int64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def _item(self, row: tuple[Any, ...]) -> Item:
        key, path, root, sha256, size, date, label, modified_ns = row
        if root not in self._roots:
            self._roots = self.roots()
        if root not in self._roots or not isinstance(path, bytes):
            raise ArtifactError(f"{self.place} is damaged: photo {key} has no place; build the index again.")
        named = os.fsdecode(label) if isinstance(label, bytes) else None
        return Item(key, os.fsdecode(path), self._roots[root], sha256, size, date, named, modified_ns)


def create(place: Path | None) -> Table:
    """A new, empty database; None for one in memory."""
    connection = sqlite3.connect(place or ":memory:", isolation_level=None, check_same_thread=False)
    if place is not None:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(SCHEMA)
    return Table(connection, place or Path("an index in memory"))


def open_to_read(folder: Path) -> Table:
    """The database of an index as it is now, and stays for this reader.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    place = _existing(folder)
    openings: list[Callable[[], sqlite3.Connection]] = [
        lambda: _connect(place, "mode=rw"),  # so that the last reader tidies up after a writer that was killed
        lambda: _connect(place, "mode=ro"),
        lambda: _connect(place, "immutable=1"),  # of a folder that cannot be written nobody changes anything
    ]
    with _sentences(place):
        for number, opening in enumerate(openings):
            connection = None
            try:
                connection = opening()
                connection.execute("PRAGMA query_only = ON")
                connection.execute("BEGIN")
                connection.execute("SELECT count(*) FROM about").fetchone()  # now the transaction begins
                return Table(connection, place)
            except sqlite3.OperationalError:
                if connection is not None:
                    connection.close()
                if number == len(openings) - 1:
                    raise
    raise AssertionError("the last one returns or raises")


def open_to_write(folder: Path) -> Table:
    """The database of an index, in a transaction that `Table.change("COMMIT")` makes last.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    place = _existing(folder)
    with _sentences(place):
        connection = _connect(place, "mode=rw")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        return Table(connection, place)


def _connect(place: Path, how: str) -> sqlite3.Connection:
    name = place.resolve().as_uri()
    connection = sqlite3.connect(
        f"{name}?{how}", uri=True, isolation_level=None, check_same_thread=False, timeout=_PATIENCE_S
    )
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _existing(folder: Path) -> Path:
    place = folder / FILE
    if not place.is_file():
        raise ArtifactError(f"{place} is missing; the index is incomplete, build it again.")
    return place


def _some(ids: Sequence[int]) -> Iterator[list[int]]:
    for first in range(0, len(ids), _AT_ONCE):
        yield [int(key) for key in ids[first : first + _AT_ONCE]]


class NamedTwice(DataError):
    """An index holds each path once."""


@contextmanager
def _sentences(place: Path) -> Iterator[None]:
    """What SQLite says, as one sentence of ours."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise NamedTwice("A photo is named twice; give each photo once.") from None
    except UnicodeDecodeError:
        raise ArtifactError(f"{place} is damaged: a text in it is none; build the index again.") from None
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise Busy(f"{place} is being written by another process; wait until it ends.") from None
        if "full" in str(error) or "readonly" in str(error):
            raise GoodviewsError(f"Could not write {place}: {error}. Nothing there was changed.") from None
        raise ArtifactError(f"{place} is no sound database of an index ({error}); build the index again.") from None


def _condition(among: Filter, roots: dict[int, Path]) -> tuple[str, list[Any]]:
    """A filter in SQL."""
    parts: list[str] = ["1"]
    values: list[Any] = []
    if among.label is not None:
        parts.append("label = ?")
        values.append(os.fsencode(among.label))
    for sign, moment in ((">=", among.after), ("<", among.before)):
        if moment is not None:
            parts.append(f"date {sign} ?")
            values.append(moment)
    if among.folder is not None:
        places = _places(Path(among.folder), roots)
        parts.append("(" + " OR ".join(["0", *("(root = ? AND substr(path, 1, ?) = ?)" for _ in places)]) + ")")
        values += [value for root, prefix in places for value in (root, len(prefix), prefix)]
    return " AND ".join(parts), values


def _places(folder: Path, roots: dict[int, Path]) -> list[tuple[int, bytes]]:
    """Roots, and with what a path there begins that lies below a folder."""
    found = []
    given = Path(os.path.normpath(folder))
    for key, root in roots.items():
        inside = given.relative_to(root) if given.is_relative_to(root) else None
        if not given.is_absolute():
            inside = given
        elif root.is_relative_to(given):
            inside = Path()
        if inside is not None:
            found.append((key, b"" if inside == Path() else os.fsencode(inside.as_posix()) + b"/"))
    return found
