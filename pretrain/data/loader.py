"""Photos to batches of views: which images a step sees, decoded and cropped by workers, then the views' programs.

Nothing depends on how many workers or processes there are: the order of an epoch comes from (seed, epoch), every other
number from (seed, epoch, sample, view). An unreadable image is replaced by the next readable one and listed.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from weakref import WeakSet

import torch
from torch import Tensor

from ...hub.errors import DataError, UsageError
from ...hub.images import SkippedImages
from ...hub.sources.source import Source
from ..models.across_processes import share_of
from ..views.compiled_chains import compiled
from ..views.device_colour import as_it_is
from ..views.device_views import render
from ..views.view import View
from .decode import decoder
from .decoded_photos import DecodedPhotos
from .device_crops import PhotosOnDevice
from .join import Whole
from .packed_batch import Packed, pixels_of, unpack
from .places import Place, Places
from .prefetch import portions_ahead
from .reading import Reading
from .side_stream import SideStream
from .worker import Boxes, FromSource, Photos, Reader


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
        compile: let torch's compiler run the arithmetic on colours, where the device is not a CPU.
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
        compile: bool = False,
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
        self._readings: WeakSet[Reading] = WeakSet()  # each holds workers of its own
        self._places = Places(len(source), batch_size, seed, rank, world, epochs)
        self.steps_per_epoch = self._places.steps_per_epoch
        on_gpu = self.device.type == "cuda" and torch.cuda.is_available()
        self._side = SideStream(self.device) if on_gpu else None
        self._run = compiled if compile else as_it_is
        self._next: tuple[int, int] | None = None  # epoch and step of what `_reading` gives next
        self._reading: Reading | None = self._read(self._places, self.views)

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch (an incomplete last one is left out), from a step on; what is before is not decoded.

        One epoch at a time: starting another ends this one.

        Raises:
            DataError: no image of the source can be read.
        """
        for step in range(start_step, self.steps_per_epoch):
            yield self._of_step(epoch, step)

    def in_order(self, view: View) -> Iterator[Batch]:
        """This process's share of all images (see `share_of`), each once and in order, in a view that draws nothing.

        Batches are as large as the epoch's, the last one may be smaller. An unreadable image is replaced as there.

        Raises:
            DataError: no image of the source can be read.
        """
        positions = share_of(len(self.source), self._places.rank, self._places.world).tolist()
        size = self._images
        places = [
            [(0, sample) for sample in positions[first : first + size]] for first in range(0, len(positions), size)
        ]
        with closing(self._read(places, (view,))) as reading:
            for _ in places:
                yield self._wait_for(reading, (view,))

    def close(self) -> None:
        """End the workers now, even where a traceback holds the batches of an epoch that was broken off."""
        for reading in self._readings:
            reading.close()
        self._reading = None

    def _read(self, places: Iterable[list[Place]], views: tuple[View, ...]) -> Reading:
        renders = self.device.type == "cpu" and self.on_device is None
        photos = Photos(self._photos, views, self._places.seed, renders=renders, plans=self.device.type != "cpu")
        ahead = portions_ahead(views, self._images, is_rendered=renders, workers=self._workers) if self._workers else 0
        reading = Reading(photos, places, workers=self._workers, ahead=ahead, device=self.device)
        self._readings.add(reading)
        return reading

    @property
    def _images(self) -> int:
        """Of a step, in this process."""
        return self._places.batch_size // self._places.world

    def _of_step(self, epoch: int, step: int) -> Batch:
        """From the workers as they go on, or, where the step is not the one they have next, from there anew."""
        if self._reading is None:
            raise RuntimeError("this ViewLoader was closed")
        if self._next != (epoch, step):
            self._places.epoch, self._places.step = epoch, step
            self._reading.start()
        self._next = self._places.after(epoch, step)
        return self._wait_for(self._reading, self.views)

    def _wait_for(self, reading: Reading, views: tuple[View, ...]) -> Batch:
        start_s = time.perf_counter()
        whole = next(reading)
        return self._batch(whole, views, time.perf_counter() - start_s)

    def _batch(self, whole: Whole, views: tuple[View, ...], wait_s: float) -> Batch:
        for path, reason in whole.unreadable:
            if path not in {known for known, _ in self.skipped}:
                self.skipped.add(path, reason)
        if not len(whole.samples):
            raise DataError(f"None of the {len(self.source)} images of {self.source.name} can be read.")
        samples = torch.from_numpy(whole.samples)
        make = partial(self._views, whole, samples, views)
        return Batch(samples, make() if self._side is None else self._side.render(make), wait_s)

    def _views(self, whole: Whole, samples: Tensor, views: tuple[View, ...]) -> dict[str, Tensor]:
        if whole.packed is not None:
            return self._planned_views(whole, whole.packed, samples, views)
        images = self._pixels(whole, samples, views)
        if not whole.numbers:
            return images
        numbers = {name: torch.from_numpy(rows) for name, rows in whole.numbers.items()}
        return {view.name: view.render(images[view.name], numbers[view.name]) for view in views}

    def _planned_views(
        self, whole: Whole, packed: Packed, samples: Tensor, views: tuple[View, ...]
    ) -> dict[str, Tensor]:
        plan = packed.plan
        floats, ints, pixels = unpack(Packed(plan, packed.memory.to(self.device, non_blocking=True)))
        if self.on_device is not None:
            pixels = torch.empty(plan.pixels, 3, dtype=torch.uint8, device=self.device)
            for name, crops in self._pixels(whole, samples, views).items():
                pixels_of(plan, name, pixels).copy_(crops.permute(0, 2, 3, 1))
        return render(plan, pixels, floats, ints, run=self._run)

    def _pixels(self, whole: Whole, samples: Tensor, views: tuple[View, ...]) -> dict[str, Tensor]:
        if self.on_device is None:
            return {name: image.to(self.device, non_blocking=True) for name, image in whole.images.items()}
        boxes = whole.images
        return {view.name: self.on_device.crops(samples, boxes[view.name], view.crop) for view in views}


def _reader(
    source: Source, exact_decode: bool, decoded: DecodedPhotos | None, on_device: PhotosOnDevice | None
) -> Reader:
    if decoded is None:
        return FromSource(source, exact_decode)
    return decoded if on_device is None else Boxes(decoded.without_pixels())
