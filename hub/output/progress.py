"""How far a long loop is: rich's bar where rich is installed, else plain lines on standard error.

The deployed encoder installs without rich, so this module imports it only when a bar is shown.
"""

import sys
import time
from collections.abc import Iterator, Sized
from typing import Protocol, TypeVar

Item = TypeVar("Item", covariant=True)
LINE_EVERY_S = 5.0


class SizedIterable(Sized, Protocol[Item]):
    """A list, a tuple, a data loader."""

    def __iter__(self) -> Iterator[Item]: ...


def track(items: SizedIterable[Item], label: str, *, is_shown: bool) -> Iterator[Item]:
    """The items, one by one; with `is_shown` a bar, or a line every LINE_EVERY_S seconds: "Encoding 640/25000"."""
    if not is_shown:
        yield from items
        return
    try:
        from rich.progress import track as bar
    except ModuleNotFoundError:
        yield from _lines(items, label)
    else:
        yield from bar(items, label, total=len(items))


def _lines(items: SizedIterable[Item], label: str) -> Iterator[Item]:
    last_s = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        if done == len(items) or time.monotonic() - last_s >= LINE_EVERY_S:
            print(f"{label} {done}/{len(items)}", file=sys.stderr)
            last_s = time.monotonic()
