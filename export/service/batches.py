"""One thread runs the network; whatever waits when it is free becomes one batch."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

Run = Callable[[Sequence[np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class _Job:
    """A prepared photo for the next batch, or something to do alone in the network's thread."""

    work: np.ndarray | Callable[[], np.ndarray]
    done: "Future[np.ndarray]" = field(default_factory=Future)


class Batches:
    """Photos of all requests through one network.

    Args:
        run: prepared photos -> (N, F).
        largest: photos of a batch.
        observe: is called with the size of each batch.
    """

    def __init__(self, run: Run, *, largest: int, observe: Callable[[int], None] = lambda size: None):
        self._run, self._largest, self._observe = run, largest, observe
        self._waiting: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="goodviews network", daemon=True)
        self._thread.start()

    def embed(self, prepared: np.ndarray) -> "Future[np.ndarray]":
        """The vector of a prepared photo, soon."""
        return self._put(_Job(prepared))

    def call(self, work: Callable[[], np.ndarray]) -> "Future[np.ndarray]":
        """What `work` gives, done in the network's thread."""
        return self._put(_Job(work))

    def close(self) -> None:
        """Finish what waits, then stop."""
        self._waiting.put(None)
        self._thread.join()

    def _put(self, job: _Job) -> "Future[np.ndarray]":
        self._waiting.put(job)
        return job.done

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None:
            jobs, is_last = [job], False
            while len(jobs) < self._largest:
                try:
                    more = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    is_last = True
                    break
                jobs.append(more)
            self._do([job for job in jobs if job.done.set_running_or_notify_cancel()])
            if is_last:
                return

    def _do(self, jobs: list[_Job]) -> None:
        photos = [job for job in jobs if isinstance(job.work, np.ndarray)]
        if photos:
            self._observe(len(photos))
            try:
                vectors = self._run([job.work for job in photos if isinstance(job.work, np.ndarray)])
            except Exception as error:  # whoever waits is told, and the thread lives on
                for job in photos:
                    job.done.set_exception(error)
            else:
                for job, vector in zip(photos, vectors):
                    job.done.set_result(vector)
        for job in jobs:
            if not isinstance(job.work, np.ndarray):
                try:
                    job.done.set_result(job.work())
                except Exception as error:
                    job.done.set_exception(error)
