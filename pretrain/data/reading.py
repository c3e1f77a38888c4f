"""Whole steps of images, read by worker processes, or by this one where there are none."""

import atexit
import signal
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any
from weakref import ref

import torch
from torch.utils.data import DataLoader

from ..freed_memory import keep_freed_memory
from .ahead import Ahead
from .join import Whole, next_step
from .places import Place
from .portions import Portions
from .worker import Photos, WorkerBatch


class Reading:
    """The steps of some places, one after another.

    Args:
        places: of the images of each step; gone through anew by each `start`.
        workers: how many; they stay from one start to the next.
        ahead: portions that each of them prepares.
        device: for which the images are. For a GPU, steps are put together in a thread: this one has launches to do.
    """

    def __init__(
        self, photos: Photos, places: Iterable[list[Place]], *, workers: int, ahead: int, device: torch.device
    ):
        self._views, self._device = photos.views, device
        self._steps: Iterator[Whole] | None = None
        self._portions: Iterator[WorkerBatch] | None = None
        self._loader = DataLoader(
            photos,
            batch_size=None,
            sampler=Portions(places, workers, is_rendered=photos.renders),
            collate_fn=_as_it_is,
            num_workers=workers,
            worker_init_fn=_start_worker,
            persistent_workers=workers > 0,
            prefetch_factor=ahead if workers else None,
            generator=torch.Generator(),  # the global one belongs to the training loop
        )

    def start(self) -> None:
        """From the first place on; whatever was read ahead is dropped."""
        self._stop()
        portions = iter(self._loader)
        if portions is not self._portions and self._loader.num_workers:
            atexit.register(_end_workers, ref(portions))
        self._portions = portions
        pin = self._device.type == "cuda" and torch.cuda.is_available()
        steps = iter(partial(next_step, portions, self._views, pin=pin), None)
        self._steps = Ahead(steps) if self._loader.num_workers and self._device.type != "cpu" else steps

    def __next__(self) -> Whole:
        if self._steps is None:
            self.start()
        assert self._steps is not None
        return next(self._steps)

    def close(self) -> None:
        """End the workers now."""
        self._stop()
        if self._portions is not None:
            _end_workers(ref(self._portions))

    def _stop(self) -> None:
        if isinstance(self._steps, Ahead):
            self._steps.close()


def _as_it_is(batch: Any) -> WorkerBatch:
    """The worker has collated already."""
    return batch


def _end_workers(portions: "ref[Any]") -> None:
    """Ask the workers of one of torch's iterators to end and wait for them; torch itself does so once it is collected.

    At exit Python would send them SIGTERM, which they ignore, and then wait for ever.
    """
    end = getattr(portions(), "_shutdown_workers", None)  # what reads without workers has none
    if end is not None:
        end()


def _start_worker(worker: int) -> None:
    """Ctrl-C and SIGTERM often reach the whole process group; the run stops in order and then ends its workers."""
    keep_freed_memory()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
