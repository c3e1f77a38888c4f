"""What has a name, listed as `recipes` and `tasks` do: found by a part of the name, in tables without lines."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from rich.table import Table
from rich.text import Text

from ..errors import UsageError


def names_with(word: str, names: Collection[str], *, noun: str, command: str) -> list[str]:
    """The names that hold a word, whatever its case; all of them for an empty one.

    Raises:
        UsageError: there is none; it names those that come near.
    """
    found = [name for name in names if word.lower() in name]
    if not found:
        near = get_close_matches(word, names, n=4, cutoff=0.4)
        there = f"there is {', '.join(near)}; " if near else ""
        raise UsageError(f"No {noun} has {word} in its name; {there}`goodviews {command}` lists all.")
    return found


def table_of(title: str, *columns: str, whole: int = 0) -> Table:
    """An empty table below a bold title; the cells of the column `whole` are never broken."""
    table = Table(*columns, title=Text(title, style="bold"), title_justify="left", box=None)
    table.pad_edge, table.columns[whole].no_wrap = False, True
    return table


def table_of_advice(title: str, *columns: str, rows: Iterable[tuple[str, str, str]]) -> Table:
    """Which one suits: what one has, the name, and why."""
    table = table_of(title, *columns, whole=1)
    for row in rows:
        table.add_row(*row)
    return table
