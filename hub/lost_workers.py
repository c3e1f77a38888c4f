"""A command whose worker process was killed ends with one sentence, however that shows.

torch and concurrent.futures have errors of their own for it. Where a worker is killed while it hands over a batch, the
connection to it breaks before they notice.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb

from .errors import GoodviewsError

_OF_TORCH = "DataLoader worker (pid"  # so torch begins, wherever the main process is when it notices
_WITH_LESS = "with fewer --workers or --processes, or a smaller --batch-size"
_HAND_OVER = "multiprocessing."  # the modules in which a connection between processes breaks


@contextmanager
def lost_workers(advice: str = f"Run the command again, {_WITH_LESS}.") -> Iterator[None]:
    """Raises GoodviewsError where a process that the block had started, to load images or the like, is gone.

    Args:
        advice: a sentence.
    """
    try:
        yield
    except (RuntimeError, ConnectionError, EOFError, FileNotFoundError) as error:
        if not _is_lost(error):
            raise
        if "Bus error" in str(error):
            why = "/dev/shm is too small for its images (goodviews doctor says what is needed)"
        else:
            why = "most often the system does that where memory is short (its log tells)"
        raise GoodviewsError(f"A process that this command had started was killed: {why}. {advice}") from error


def _is_lost(error: Exception) -> bool:
    if isinstance(error, RuntimeError):
        from concurrent.futures.process import BrokenProcessPool  # here, since the front door answers fast

        return isinstance(error, BrokenProcessPool) or str(error).startswith(_OF_TORCH)
    # An error of a worker's own, e.g. a missing file, is raised again outside those modules.
    frames = walk_tb(error.__traceback__)
    return any(str(frame.f_globals.get("__name__", "")).startswith(_HAND_OVER) for frame, _ in frames)
