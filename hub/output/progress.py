"""How far a long loop is: a bar on a terminal, else plain lines on standard error.

The deployed encoder installs without rich, so this module imports it only when a bar is shown; without rich there are
lines on a terminal too.
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
        from .terminal import progress_bar
    except ModuleNotFoundError:
        yield from _lines(items, label)
        return
    with progress_bar() as bar:
        yield from _lines(items, label) if bar.disable else bar.track(items, len(items), description=label)


def _lines(items: SizedIterable[Item], label: str) -> Iterator[Item]:
    last_s = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        if done == len(items) or time.monotonic() - last_s >= LINE_EVERY_S:
            print(f"{label} {done}/{len(items)}", file=sys.stderr)
            last_s = time.monotonic()
