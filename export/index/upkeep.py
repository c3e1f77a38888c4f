"""The faiss index of an index that is too large to be compared whole: chosen, built, measured, and renewed as it grows.

What was chosen stands in the database: the number of its file, its kind, how many rows it covers, and what it was found
to do. Rows that came later are compared one by one, until they are too many.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...hub.errors import ArtifactError
from ...hub.machine import free_memory_bytes
from ..nearest.approximate import Approximate, Settings, build_index, extend_index, open_index
from ..nearest.kinds import FLAT, choose_kind
from ..nearest.measure import WANTED, Measured, tune
from ..nearest.segments import Segment
from .table import Table

log = logging.getLogger(__name__)

LATE_NUMBERS = 12_500_000  # of rows that came later: compared in at most 4 ms


@dataclass(frozen=True)
class Nearest:
    """What the database says of the faiss index; the file is mapped when a search needs it.

    Attributes:
        number: of its file.
        kind: as faiss's factory writes it.
        rows: the first rows of the index, which it covers.
        trained_rows: how many there were when it was learned.
    """

    number: int
    kind: str
    rows: int
    trained_rows: int
    measured: Measured
    _opened: list[Approximate] = field(default_factory=list, repr=False, compare=False)

    @property
    def settings(self) -> Settings:
        return Settings(self.measured.effort)

    def open(self, folder: Path, dimension: int) -> Approximate:
        """The index, mapped once.

        Raises:
            FileNotFoundError: it is not there.
            ArtifactError: it is damaged.
        """
        if not self._opened:
            path = folder / nearest_name(self.number)
            path.stat()
            self._opened.append(open_index(path, self.kind, self.rows, dimension))
        return self._opened[0]


def nearest_name(number: int) -> str:
    return f"nearest-{number:06}.faiss"


def read_nearest(table: Table) -> Nearest | None:
    """None where every search is exact.

    Raises:
        ArtifactError: what the database says makes no sense.
    """
    text = table.get("nearest")
    if text is None:
        return None
    try:
        content: dict[str, Any] = json.loads(text)
        measured = Measured(**content.pop("measured"))
        return Nearest(measured=measured, **content)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ArtifactError(f"{table.place} is damaged: it has {text!r:.60} for nearest; build it again.") from None


def wanted_kind(table: Table, count: int, dimension: int) -> str:
    """The kind that suits an index as it is now, or the one that its user named."""
    return str(table.get("forced_kind") or choose_kind(count, dimension, free_bytes=free_memory_bytes()))


def renew(folder: Path, table: Table, segments: Sequence[Segment], dead: np.ndarray | None, dimension: int) -> bool:
    """Build, extend or drop the faiss index where that is due; the caller commits. False where nothing was due."""
    rows = segments[-1].end if segments else 0
    count = rows - (0 if dead is None else int(dead.sum()))
    old = read_nearest(table)
    kind = wanted_kind(table, count, dimension)
    if kind == FLAT or not count:
        if old is None:
            return False
        table.change("DELETE FROM about WHERE key = 'nearest'")
        return True
    late = rows - old.rows if old is not None else rows
    if old is not None and late * dimension <= LATE_NUMBERS:
        return False
    number = int(table.get("next_number", 1))
    table.put("next_number", number + 1)
    path = folder / nearest_name(number)
    if old is not None and rows <= 2 * old.trained_rows:
        kind, trained_rows = old.kind, old.trained_rows
        extend_index(folder / nearest_name(old.number), segments, path)
    else:
        trained_rows = rows
        log.info("Building the index %s over %d vectors of %d numbers", kind, rows, dimension)
        build_index(kind, segments, path)
    measured = tune(open_index(path, kind, rows, dimension), segments, dead)
    content = {"number": number, "kind": kind, "rows": rows, "trained_rows": trained_rows}
    table.put("nearest", json.dumps(content | {"measured": measured.to_json()}))
    log.info(describe(kind, measured))
    return True


def describe(kind: str, measured: Measured) -> str:
    """What an index was found to do, in a line."""
    text = (
        f"{kind}: recall@10 {measured.recall:.4f} on {measured.queries} of its own vectors, "
        f"{measured.query_ms:.2f} ms a query (all compared: {measured.exact_ms:.1f} ms)"
    )
    return text if measured.recall >= WANTED else f"{text}; this kind reaches no {WANTED}, another may: --index"
