"""An index as it is on disk at one moment: its database in a transaction of its own, and its vectors, mapped."""

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ...hub.errors import ArtifactError, Busy
from ...hub.files.locks import refuse_busy
from ..nearest.segments import Segment, open_segment
from .about import FORMAT, About, parse_about, read_format
from .first_format import first_generation, read_first, read_first_about
from .table import Table, open_to_read
from .upkeep import Nearest, read_nearest

_TRIES, _PAUSE_S = 20, 0.05


@dataclass(frozen=True)
class State:
    """What a search needs.

    Attributes:
        segments: in the order of their rows.
        rows: of all segments together.
        dead: (rows,) bool, rows of photos that were removed or changed since; None without any.
        count: of photos.
        nearest: the faiss index, for more vectors than are compared one by one.
        format: of the folder: 1 or 2.
    """

    folder: Path
    about: About
    table: Table
    segments: list[Segment]
    rows: int
    dead: np.ndarray | None
    count: int
    generation: int
    nearest: Nearest | None
    format: int = FORMAT

    @cached_property
    def alive(self) -> np.ndarray | None:
        """(rows,) bool, the other rows; None where all live."""
        return None if self.dead is None else ~self.dead


def read_state(folder: Path) -> State:
    """Open an index of today's format or the first one.

    Raises:
        ArtifactError: the folder is missing, damaged, or another tool's.
    """
    for attempt in range(_TRIES):
        try:
            return _read_once(folder)
        except (FileNotFoundError, ArtifactError) as error:
            # Perhaps a writer was between two steps; where nobody writes, a second look is enough.
            last, is_busy = error, _is_busy(folder)
        if not is_busy and attempt:
            break
        time.sleep(_PAUSE_S if is_busy else 0)
    if isinstance(last, FileNotFoundError):
        raise ArtifactError(f"{last.filename} is missing; the index is incomplete, build it again.")
    raise last


def read_generation(folder: Path | str) -> int:
    """A number that changes with every change of an index.

    Raises:
        ArtifactError: as `read_state`.
    """
    folder = Path(folder)
    number, _ = read_format(folder)
    if number == 1:
        return first_generation(folder)
    table = open_to_read(folder)
    try:
        return table.whole("generation")
    finally:
        table.close()


def open_segments(folder: Path, table: Table, dimension: int) -> list[Segment]:
    """The files that count, in the order of their rows.

    Raises:
        FileNotFoundError: one is not there.
        ArtifactError: one is damaged, or they leave a gap.
    """
    found: list[Segment] = []
    for first_row, number, rows in table.ask("SELECT first_row, number, rows FROM segments ORDER BY first_row"):
        if first_row != (found[-1].end if found else 0):
            raise ArtifactError(f"{table.place} is damaged: its rows have a gap at {first_row}; build the index again.")
        found.append(open_segment(folder, number, first_row, rows, dimension))
    return found


def dead_rows(table: Table, rows: int) -> np.ndarray | None:
    """(rows,) bool; None where all rows live."""
    numbers = np.array(table.ask("SELECT row FROM dead_rows"), np.int64).reshape(-1)
    if not len(numbers):
        return None
    if numbers.min() < 0 or numbers.max() >= rows:
        raise ArtifactError(f"{table.place} is damaged: it names rows that it has not; build the index again.")
    dead = np.zeros(rows, bool)
    dead[numbers] = True
    return dead


def _read_once(folder: Path) -> State:
    number, content = read_format(folder)
    if number == 1:
        about = read_first_about(folder, content)
        table, segments = read_first(folder, about)
    else:
        table = open_to_read(folder)
        try:
            about, database = parse_about(folder, content, list(table.roots().values()))
            if table.get("database") != database:
                raise ArtifactError(f"{folder} has an index.json of another index; build it again.")
            segments = open_segments(folder, table, about.dimension)
        except BaseException:
            table.close()
            raise
    rows = segments[-1].end if segments else 0
    count, dead = int(table.get("count", -1)), dead_rows(table, rows)
    count = table.count() if count < 0 else count
    if rows - (0 if dead is None else int(dead.sum())) != count:
        raise ArtifactError(f"{folder} is damaged: {count} photos, but other vectors; build the index again.")
    return State(
        folder, about, table, segments, rows, dead, count, table.whole("generation"), read_nearest(table), number
    )


def _is_busy(folder: Path) -> bool:
    try:
        refuse_busy(folder)
    except Busy:
        return True
    return False
