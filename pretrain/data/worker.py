"""What one loader worker does: files to crops and random numbers, and on a CPU also to rendered views."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ...hub.errors import DataError
from ...hub.sources.source import Source
from ..randomness import uniforms
from ..views.plan import make_plan
from ..views.view import Crop, View
from .decode import read_crops
from .decoded_photos import DecodedPhotos
from .packed_batch import Packed, pack

_Sample = tuple[int, list[Tensor], list[NDArray[np.float64]]]  # sample; crop and uniform numbers of each view


class WorkerBatch(NamedTuple):
    """What a worker hands over. Each tensor takes a file descriptor until its batch is used; arrays take none.

    Args:
        samples: (N,), int64.
        images: by view, rendered; or crops (N, 3, px, px), uint8, when `numbers` is there to render them with; or the
            crops' boxes (N, 4) in photos that lie on the device. Empty when no image at all could be read.
        numbers: by view, (N, width), for `View.render`; empty where there is a plan.
        packed: for the device: the plan of all views and the crops, unless `images` has their boxes.
        unreadable: path and reason of every image that was met and could not be read.
    """

    samples: NDArray[np.int64]
    images: dict[str, Tensor]
    numbers: dict[str, NDArray[np.float64]]
    unreadable: list[tuple[str, str]]
    packed: Packed | None = None


class Reader(Protocol):
    """Photos by position, read as crops (3, px, px), or as whatever the loader makes crops of."""

    def __len__(self) -> int: ...

    def place(self, position: int) -> str: ...

    def read(self, position: int, crops: Sequence[Crop], uniforms: Sequence[NDArray[np.float64]]) -> list[Tensor]: ...


@dataclass(frozen=True)
class FromSource:
    """Every photo is decoded each time it is shown, with `is_exact` whole."""

    source: Source
    is_exact: bool = False

    def __len__(self) -> int:
        return len(self.source)

    def place(self, position: int) -> str:
        return self.source.place(position)

    def read(self, position: int, crops: Sequence[Crop], uniforms: Sequence[NDArray[np.float64]]) -> list[Tensor]:
        return read_crops(
            self.source.open(position),
            crops,
            uniforms,
            name=self.source.place(position),
            values=self.source.values,
            is_exact=self.is_exact,
        )


@dataclass(frozen=True)
class Boxes:
    """Of decoded photos only where the crops lie, each (4,), int64: whoever has the photos makes them."""

    decoded: DecodedPhotos

    def __len__(self) -> int:
        return len(self.decoded)

    def place(self, position: int) -> str:
        return self.decoded.place(position)

    def read(self, position: int, crops: Sequence[Crop], uniforms: Sequence[NDArray[np.float64]]) -> list[Tensor]:
        height, width = self.decoded.size(position)
        return [torch.tensor(crop.box(width, height, row)) for crop, row in zip(crops, uniforms)]


class Photos(Dataset[WorkerBatch]):
    """The photos of a reader as batches of crops; with `renders`, of rendered views.

    Args:
        plans: say in the batch how a device renders all views at once; where a program allows it.
    """

    def __init__(self, photos: Reader, views: Sequence[View], seed: int, *, renders: bool, plans: bool = False):
        self.photos, self.views, self.seed, self.renders, self.plans = photos, views, seed, renders, plans

    def __getitems__(self, places: list[tuple[int, int]]) -> WorkerBatch:
        """The batch of these (epoch, sample)."""
        unreadable: dict[str, str] = {}
        readable = [self._read(epoch, sample, unreadable) for epoch, sample in places]
        samples_read = [one for one in readable if one is not None]
        if len(samples_read) < len(places):
            return WorkerBatch(np.empty(0, np.int64), {}, {}, list(unreadable.items()))
        samples, crops, numbers = zip(*samples_read, strict=True)
        names = [view.name for view in self.views]
        images = dict(zip(names, zip(*crops, strict=True), strict=True))
        rows = {name: np.stack(row) for name, row in zip(names, zip(*numbers, strict=True), strict=True)}
        return self._batch(np.array(samples), images, rows, list(unreadable.items()))

    def _batch(
        self,
        samples: NDArray[np.int64],
        images: dict[str, tuple[Tensor, ...]],
        rows: dict[str, NDArray[np.float64]],
        unreadable: list[tuple[str, str]],
    ) -> WorkerBatch:
        planned = make_plan(self.views, [torch.from_numpy(row) for row in rows.values()]) if self.plans else None
        if planned is None:
            stacked = {name: torch.stack(image) for name, image in images.items()}
            if self.renders:
                stacked = {
                    view.name: view.render(stacked[view.name], torch.from_numpy(rows[view.name])) for view in self.views
                }
                rows = {}
            return WorkerBatch(samples, stacked, rows, unreadable)
        if isinstance(self.photos, Boxes):
            boxes = {name: torch.stack(box) for name, box in images.items()}
            return WorkerBatch(samples, boxes, {}, unreadable, pack(*planned, {}))
        return WorkerBatch(samples, {}, {}, unreadable, pack(*planned, images))

    def _read(self, epoch: int, sample: int, unreadable: dict[str, str]) -> _Sample | None:
        """The sample, or the next in the source that can be read, with that one's own numbers; None if none can."""
        for distance in range(len(self.photos)):
            place = (sample + distance) % len(self.photos)
            numbers = [uniforms(self.seed, epoch, place, i, view.width) for i, view in enumerate(self.views)]
            try:
                return place, self.photos.read(place, [view.crop for view in self.views], numbers), numbers
            except DataError as error:
                unreadable[self.photos.place(place)] = str(error)
        return None
