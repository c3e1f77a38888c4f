"""Tables in CSV: a line of column names, then the rows."""

import csv
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

from .atomic import write_text


def write_csv(path: Path, header: Iterable[object], rows: Iterable[Iterable[object]]) -> Path:
    """Write a table whole or not at all; lines end as on Unix."""
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return write_text(path, text.getvalue())


def read_csv(path: Path) -> list[dict[str, str]] | None:
    """The rows by column name; None if there is no file, or a row is longer or shorter than the line of names."""
    if not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return None if any(None in row or None in row.values() for row in rows) else rows
