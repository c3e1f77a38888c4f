"""What the commands of export print alike: a line as it is, and the photos that were left out."""

from typing import TYPE_CHECKING

from ..hub.output.terminal import Terminal

if TYPE_CHECKING:
    from ..hub.images import SkippedImages


def print_line(console: Terminal, text: str) -> None:
    """One line, neither coloured nor broken."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_skipped(console: Terminal, skipped: "SkippedImages") -> None:
    """How many photos could not be read, then each with its reason."""
    if skipped:
        print_line(console, skipped.summary())
        for path, reason in skipped:
            print_line(console, f"  {reason if path in reason else f'{path}: {reason}'}")
