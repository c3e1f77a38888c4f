"""Being asked to stop: SIGTERM and Ctrl-C become a flag that the training loop reads between two steps."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any


class StopRequest:
    """False until a signal arrives."""

    def __init__(self) -> None:
        self.signal: str | None = None

    def __bool__(self) -> bool:
        return self.signal is not None


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Within the block the first SIGTERM or SIGINT sets the flag; a second one acts as it always does.

    Outside the main thread, where Python forbids handlers, signals keep their usual effect.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def set_flag(number: int, frame: FrameType | None) -> None:
        request.signal = signal.Signals(number).name
        _set(before)

    _set(dict.fromkeys(before, set_flag))
    try:
        yield request
    finally:
        _set(before)


def _set(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
