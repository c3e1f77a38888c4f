"""What `goodviews transfer TASK --check` prints: classes with counts, doubts, notes, and everything that is wrong."""

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from ..hub.errors import DataError
from ..hub.output.terminal import Terminal
from .data_check import ClassCount, DataCheck

MOST_CLASSES = 100  # in the table; of more the most frequent and the rarest are shown


def print_check(console: Terminal, data: Path, check: DataCheck) -> None:
    """Prints all of it.

    Raises:
        DataError: something is wrong with the data.
    """
    _say(console, f"{data}: {check.summary}.")
    if check.classes:
        console.print(class_table(check.classes))
    for sentence in (*(f"Doubt: {doubt}" for doubt in check.doubts), *(f"Note: {note}" for note in check.notes)):
        _say(console, sentence)
    for problem in check.problems:
        _say(console, f"- {problem}")
    if check.problems:
        count = "One thing is" if len(check.problems) == 1 else f"{len(check.problems)} things are"
        raise DataError(f"{count} wrong with {data}; nothing was trained.")
    _say(console, "Nothing is wrong with them." + (" Look at the doubts before you train." if check.doubts else ""))


def class_table(classes: tuple[ClassCount, ...]) -> Table:
    """The classes, the most frequent in training first."""
    table = Table("class", "training", "test")
    for column in table.columns[1:]:
        column.justify = "right"
    ranked = sorted(classes, key=lambda one: (-one.train, one.name))
    first, last = (ranked, []) if len(ranked) <= MOST_CLASSES else (ranked[:50], ranked[-50:])
    for one in first:
        table.add_row(escape(one.name), str(one.train), str(one.test))
    if last:
        table.add_row(f"… {len(ranked) - MOST_CLASSES} more …", "", "", style="dim")
    for one in last:
        table.add_row(escape(one.name), str(one.train), str(one.test))
    return table


def _say(console: Terminal, sentence: str) -> None:
    console.print(sentence, highlight=False, markup=False, soft_wrap=True)
