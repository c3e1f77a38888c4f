"""What comes next is made in a thread while this is in use."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Another iterator's items, each ready when it is asked for if the time was enough. Errors come with their item.

    One thread at a time asks the other iterator.
    """

    def __init__(self, items: Iterator[T]):
        self._items, self._pool = items, ThreadPoolExecutor(1, "ahead")
        self._next = self._ask()

    def __iter__(self) -> "Ahead[T]":
        return self

    def __next__(self) -> T:
        found = self._next.result()
        if not found:
            raise StopIteration
        self._next = self._ask()
        return found[0]

    def close(self) -> None:
        """No more is asked for, and what was is done, when this returns."""
        self._next.cancel()
        self._pool.shutdown()

    def _ask(self) -> Future[list[T]]:
        """One item, or none at the end."""
        return self._pool.submit(lambda: list(islice(self._items, 1)))
