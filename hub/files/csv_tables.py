"""Tables in CSV: a line of column names, then the rows."""

import csv
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

from .atomic import write_text
from .json_files import LARGEST_BYTES


def write_csv(path: Path, header: Iterable[object], rows: Iterable[Iterable[object]]) -> Path:
    """Write a table whole or not at all; lines end as on Unix."""
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return write_text(path, text.getvalue())


def read_csv(path: Path) -> list[dict[str, str]] | None:
    """The rows by column name; None if there is no file, it is no table, or a row is longer or shorter than the first.

    Names of files that are not UTF-8 come back as they are in paths.
    """
    if not path.is_file() or path.stat().st_size > LARGEST_BYTES:
        return None
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            rows = list(csv.DictReader(file))
    except csv.Error:
        return None
    return None if any(None in row or None in row.values() for row in rows) else rows
