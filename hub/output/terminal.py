"""The terminal: rich's console, through which nothing that others chose can command it.

On a screen it draws tables and bars; into a pipe or a file it writes plain lines, neither wrapped, padded nor boxed, so
that a table's row is a line with tabs between its cells. Under torchrun only the first process speaks.
"""

import logging
import os
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from .printing import shown

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

BAR_WIDTH = 20


class Terminal(Console):
    """Prints control characters in names as they are written in Python; its own colours stay.

    Args:
        quiet: print nothing; by default in all processes but the first.
    """

    def __init__(self, *, quiet: bool | None = None, **settings: Any):
        super().__init__(quiet=not is_first_process() if quiet is None else quiet, **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The pieces of what is printed; only those of text can hold what others chose."""
        for piece in super().render(renderable, options):
            text, style, control = piece
            yield piece if control else Segment(shown(text, keep=self._kept), style)

    def print(self, *objects: Any, soft_wrap: bool | None = None, **settings: Any) -> None:
        """As rich prints; what goes elsewhere than to a screen is plain lines of any length."""
        if not self.is_terminal:
            objects = tuple(_Lines(_rows(one)) if isinstance(one, Table) else one for one in objects)
            soft_wrap = True if soft_wrap is None else soft_wrap
        super().print(*objects, soft_wrap=soft_wrap, **settings)

    @property
    def _kept(self) -> str:
        return "\n" if self.is_terminal else "\n\t"


@cache
def screen() -> Terminal:
    """Standard error, for bars and log lines: with one console for all of them no line tears a bar."""
    return Terminal(stderr=True, highlight=False)


def is_first_process() -> bool:
    """Whether this process speaks: of those that torchrun started, the first alone."""
    return os.environ.get("RANK", "0") == "0"


def progress_bar(*columns: "ProgressColumn", is_shown: bool = True) -> "Progress":
    """A bar on the screen, which leaves nothing behind; none where standard error is no terminal.

    Args:
        columns: what stands left of the bar; by default what the task is called.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    left = columns or (TextColumn("{task.description}"),)
    right = (BarColumn(BAR_WIDTH), MofNCompleteColumn(), TimeRemainingColumn())
    is_hidden = not (is_shown and screen().is_terminal) or screen().quiet
    return Progress(*left, *right, console=screen(), disable=is_hidden, transient=True)


class LogLines(logging.Handler):
    """Log records on the screen, in a pipe a line each; warnings say that they are."""

    def emit(self, record: logging.LogRecord) -> None:
        label, style = ("warning: ", "yellow") if record.levelno >= logging.WARNING else ("", "")
        screen().print(Text(label + self.format(record), style))


class _Lines:
    """Lines as they are; rich's own text would make spaces of tabs."""

    def __init__(self, lines: Iterable[str]):
        self.lines = list(lines)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        yield from (Segment(f"{line}\n") for line in self.lines)


def _rows(table: Table) -> Iterator[str]:
    """A table's title, heading, rows and caption, a line each."""
    cells = [[_plain(cell) for cell in column.cells] for column in table.columns]
    if table.title:
        yield _plain(table.title)
    if table.show_header:
        yield "\t".join(_plain(column.header) for column in table.columns)
    yield from ("\t".join(row).rstrip() for row in zip(*cells))
    if table.caption:
        yield _plain(table.caption)


def _plain(cell: RenderableType) -> str:
    text = cell if isinstance(cell, Text) else Text.from_markup(str(cell))
    return " ".join(shown(text.plain, keep="\n\t").split())
