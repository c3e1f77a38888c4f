"""Photos to batches of views: which images a step sees, decoded and cropped by workers, then the views' programs.

Nothing depends on how many workers or processes there are: the order of an epoch comes from (seed, epoch), every other
number from (seed, epoch, sample, view). An unreadable image is replaced by the next readable one and listed.
"""

import atexit
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakSet, ref

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ...hub.errors import DataError, UsageError
from ...hub.images import SkippedImages
from ...hub.sources.source import Source
from ..freed_memory import keep_freed_memory
from ..models.across_processes import share_of
from ..views.device_views import render
from ..views.view import View
from .decode import decoder
from .decoded_photos import DecodedPhotos
from .device_crops import PhotosOnDevice
from .packed_batch import Packed, pixels_of, unpack
from .places import Places
from .prefetch import batch_bytes, batches_ahead
from .side_stream import SideStream
from .worker import Boxes, FromSource, Photos, Reader, WorkerBatch


@dataclass(frozen=True)
class Batch:
    """One step's images.

    Args:
        samples: (N,), int64, positions in the source of the images shown (of replacements, where one was unreadable).
        views: by name, (N, 3, px, px) or (N, 9, 3, px, px), float32, as the view's program leaves them, on the device.
        wait_s: seconds this step waited for its images.
    """

    samples: Tensor
    views: dict[str, Tensor]
    wait_s: float


class ViewLoader:
    """Batches of views of a source, the same for any number of workers and processes.

    Args:
        batch_size: images a step over all `world` processes; process `rank` gets its consecutive share of them.
        workers: processes that decode; 0 decodes in this one.
        exact_decode: decode JPEG files whole, see `decode`.
        decoded: the source's photos, decoded already.
        on_device: the same photos on the device, where crops are then made.
        device: where views end up. Anything but a CPU also runs the views' programs; on a CPU the workers do.
        epochs: in the run. Workers go on from one epoch to the next without a pause, and not beyond the last.

    Raises:
        UsageError: the batch cannot be shared out evenly.
        DataError: there are fewer images than a batch needs.
    """

    def __init__(
        self,
        source: Source,
        views: Sequence[View],
        *,
        batch_size: int,
        seed: int,
        workers: int,
        rank: int = 0,
        world: int = 1,
        decoded: DecodedPhotos | None = None,
        on_device: PhotosOnDevice | None = None,
        device: torch.device | str = "cpu",
        exact_decode: bool = False,
        epochs: int | None = None,
    ):
        if batch_size < 1 or batch_size % world:
            raise UsageError(
                f"A batch of {batch_size} images cannot be shared by {world} processes; choose a multiple."
            )
        if len(source) < batch_size:
            raise DataError(
                f"{source.name} holds {len(source)} images, fewer than one batch of {batch_size}; "
                "give more images or a smaller batch size."
            )
        self.source, self.views, self.device = source, tuple(views), torch.device(device)
        self.skipped = SkippedImages()
        self.decoder = decoder()
        self.on_device = on_device
        self._photos, self._workers = _reader(source, exact_decode, decoded, on_device), workers
        self._reading: WeakSet[Any] = WeakSet()  # torch's iterators: each holds workers of its own
        self._places = Places(len(source), batch_size, seed, rank, world, epochs)
        self.steps_per_epoch = self._places.steps_per_epoch
        self._side = SideStream(self.device) if self.device.type == "cuda" and torch.cuda.is_available() else None
        self._running: Iterator[WorkerBatch] | None = None  # of `_loader`
        self._next = (-1, 0)  # epoch and step of what it gives next
        self._loader: DataLoader | None = self._read_by(self._places, self.views, keep_workers=workers > 0)

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch (an incomplete last one is left out), from a step on; what is before is not decoded.

        One epoch at a time: starting another ends this one.

        Raises:
            DataError: no image of the source can be read.
        """
        if self._loader is None:
            raise RuntimeError("this ViewLoader was closed")
        for step in range(start_step, self.steps_per_epoch):
            yield self._of_step(epoch, step)

    def in_order(self, view: View) -> Iterator[Batch]:
        """This process's share of all images (see `share_of`), each once and in order, in a view that draws nothing.

        Batches are as large as the epoch's, the last one may be smaller. An unreadable image is replaced as there.

        Raises:
            DataError: no image of the source can be read.
        """
        positions = share_of(len(self.source), self._places.rank, self._places.world).tolist()
        size = self._places.batch_size // self._places.world
        places = [
            [(0, sample) for sample in positions[first : first + size]] for first in range(0, len(positions), size)
        ]
        reading = self._start(self._read_by(places, (view,)))
        for _ in places:
            yield self._wait_for(reading, (view,))

    def close(self) -> None:
        """End the workers now, even where a traceback holds the batches of an epoch that was broken off."""
        for reading in self._reading:
            _end_workers(ref(reading))
        self._loader = self._running = None

    def _read_by(
        self, places: Iterable[list[tuple[int, int]]], views: tuple[View, ...], *, keep_workers: bool = False
    ) -> DataLoader:
        return DataLoader(
            Photos(
                self._photos,
                views,
                self._places.seed,
                renders=self.device.type == "cpu" and self.on_device is None,
                plans=self.device.type != "cpu",
            ),
            batch_sampler=places,
            collate_fn=_as_it_is,
            num_workers=self._workers,
            worker_init_fn=_start_worker,
            persistent_workers=keep_workers,
            prefetch_factor=self._ahead(views) if self._workers else None,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # the global one belongs to the training loop
        )

    def _ahead(self, views: tuple[View, ...]) -> int:
        images = self._places.batch_size // self._places.world
        is_rendered = self.device.type == "cpu" and self.on_device is None
        return batches_ahead(batch_bytes(views, images, is_rendered=is_rendered), self._workers)

    def _of_step(self, epoch: int, step: int) -> Batch:
        """From the workers as they go on, or, where the step is not the one they have next, from there anew."""
        if self._loader is None:
            raise RuntimeError("this ViewLoader was closed")
        if self._running is None or self._next != (epoch, step):
            self._places.epoch, self._places.step = epoch, step
            self._running = self._start(self._loader)
        self._next = self._places.after(epoch, step)
        return self._wait_for(self._running, self.views)

    def _start(self, loader: DataLoader) -> Iterator[WorkerBatch]:
        reading = iter(loader)
        if reading not in self._reading:
            self._reading.add(reading)
            atexit.register(_end_workers, ref(reading))
        return reading

    def _wait_for(self, reading: Iterator[WorkerBatch], views: tuple[View, ...]) -> Batch:
        start_s = time.perf_counter()
        worker_batch = next(reading)
        return self._batch(worker_batch, views, time.perf_counter() - start_s)

    def _batch(self, worker_batch: WorkerBatch, views: tuple[View, ...], wait_s: float) -> Batch:
        for path, reason in worker_batch.unreadable:
            if path not in {known for known, _ in self.skipped}:
                self.skipped.add(path, reason)
        if not len(worker_batch.samples):
            raise DataError(f"None of the {len(self.source)} images of {self.source.name} can be read.")
        samples = torch.from_numpy(worker_batch.samples)
        make = partial(self._views, worker_batch, samples, views)
        return Batch(samples, make() if self._side is None else self._side.render(make), wait_s)

    def _views(self, worker_batch: WorkerBatch, samples: Tensor, views: tuple[View, ...]) -> dict[str, Tensor]:
        if worker_batch.packed is not None:
            return self._planned_views(worker_batch, worker_batch.packed, samples, views)
        images = self._pixels(worker_batch, samples, views)
        if not worker_batch.numbers:
            return images
        numbers = {name: torch.from_numpy(rows) for name, rows in worker_batch.numbers.items()}
        return {view.name: view.render(images[view.name], numbers[view.name]) for view in views}

    def _planned_views(
        self, worker_batch: WorkerBatch, packed: Packed, samples: Tensor, views: tuple[View, ...]
    ) -> dict[str, Tensor]:
        plan = packed.plan
        floats, ints, pixels = unpack(Packed(plan, packed.memory.to(self.device, non_blocking=True)))
        if self.on_device is not None:
            pixels = torch.empty(plan.pixels, 3, dtype=torch.uint8, device=self.device)
            for name, crops in self._pixels(worker_batch, samples, views).items():
                pixels_of(plan, name, pixels).copy_(crops.permute(0, 2, 3, 1))
        return render(plan, pixels, floats, ints)

    def _pixels(self, worker_batch: WorkerBatch, samples: Tensor, views: tuple[View, ...]) -> dict[str, Tensor]:
        if self.on_device is None:
            return {name: image.to(self.device, non_blocking=True) for name, image in worker_batch.images.items()}
        boxes = worker_batch.images
        return {view.name: self.on_device.crops(samples, boxes[view.name], view.crop) for view in views}


def _reader(
    source: Source, exact_decode: bool, decoded: DecodedPhotos | None, on_device: PhotosOnDevice | None
) -> Reader:
    if decoded is None:
        return FromSource(source, exact_decode)
    return decoded if on_device is None else Boxes(decoded.without_pixels())


def _as_it_is(batch: Any) -> WorkerBatch:
    """The worker has collated already."""
    return batch


def _end_workers(reading: "ref[Any]") -> None:
    """Ask the workers of one of torch's iterators to end and wait for them; torch itself does so once it is collected.

    At exit Python would send them SIGTERM, which they ignore, and then wait for ever.
    """
    end = getattr(reading(), "_shutdown_workers", None)  # what reads without workers has none
    if end is not None:
        end()


def _start_worker(worker: int) -> None:
    """Ctrl-C and SIGTERM often reach the whole process group; the run stops in order and then ends its workers."""
    keep_freed_memory()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
