"""What one loader worker does: files to crops and random numbers, and on a CPU also to rendered views."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ...hub.errors import DataError
from ...hub.sources.source import Source
from ..randomness import uniforms
from ..views.view import Crop, View
from .decode import read_crops
from .decoded_photos import DecodedPhotos
from .packed_batch import Packed, pack_crops, plan_step
from .places import Place
from .portions import Portion

_Sample = tuple[int, list[Tensor], list[NDArray[np.float64]]]  # sample; crop and uniform numbers of each view


class WorkerBatch(NamedTuple):
    """What a worker hands over of some images. Each tensor takes a file descriptor until its batch is used; arrays take
    none.

    Args:
        samples: (N,), int64. None when no image at all could be read.
        images: by view, rendered; or the crops' boxes (N, 4) in photos that lie on the device.
        numbers: by view, (N, width), for `View.render`; empty where the images are rendered.
        unreadable: path and reason of every image that was met and could not be read.
        crops: where images are not rendered, those of all views in one tensor (see `pack_crops`), unless `images` has
            their boxes.
        is_last: of its step.
        planned: of the step to which the images belong, the samples of its plan and the plan, from one of its workers.
    """

    samples: NDArray[np.int64]
    images: dict[str, Tensor]
    numbers: dict[str, NDArray[np.float64]]
    unreadable: list[tuple[str, str]]
    is_last: bool
    crops: Tensor | None = None
    planned: tuple[NDArray[np.int64], Packed] | None = None


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
        file = self.source.open(position)
        return read_crops(
            file,
            crops,
            uniforms,
            name=None if isinstance(file, Path) else self.source.place(position),
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
    """The photos of a reader as portions of crops; with `renders`, of rendered views.

    Args:
        plans: say how a device renders all views of a step at once, where a portion asks for it.
    """

    def __init__(self, photos: Reader, views: Sequence[View], seed: int, *, renders: bool, plans: bool = False):
        self.photos, self.views, self.seed, self.renders, self.plans = photos, views, seed, renders, plans

    def __getitem__(self, portion: Portion) -> WorkerBatch:
        unreadable: dict[str, str] = {}
        readable = [self._read(epoch, sample, unreadable) for epoch, sample in portion.places]
        samples_read = [one for one in readable if one is not None]
        if len(samples_read) < len(portion.places):
            return WorkerBatch(np.empty(0, np.int64), {}, {}, list(unreadable.items()), portion.is_last)
        samples, images, numbers = zip(*samples_read, strict=True)
        names = [view.name for view in self.views]
        by_view = dict(zip(names, zip(*images, strict=True), strict=True))
        rows = {name: np.stack(row) for name, row in zip(names, zip(*numbers, strict=True), strict=True)}
        batch = WorkerBatch(np.array(samples), {}, rows, list(unreadable.items()), portion.is_last)
        if self.plans and portion.step:
            batch = batch._replace(planned=self._plan(portion.step))
        if isinstance(self.photos, Boxes):
            return batch._replace(images={name: torch.stack(boxes) for name, boxes in by_view.items()})
        if self.renders:
            return batch._replace(images=self._render(by_view, rows), numbers={})
        return batch._replace(crops=pack_crops(self.views, by_view))

    def _render(
        self, crops: Mapping[str, Sequence[Tensor]], rows: Mapping[str, NDArray[np.float64]]
    ) -> dict[str, Tensor]:
        return {
            view.name: view.render(torch.stack(list(crops[view.name])), torch.from_numpy(rows[view.name]))
            for view in self.views
        }

    def _plan(self, step: Sequence[Place]) -> tuple[NDArray[np.int64], Packed] | None:
        """For the images as they should be; whoever gets others in the place of unreadable ones must plan anew."""
        rows = [np.stack([self._numbers(i, *place) for place in step]) for i in range(len(self.views))]
        planned = plan_step(self.views, rows)
        return None if planned is None else (np.array([sample for _, sample in step]), planned)

    def _numbers(self, view: int, epoch: int, sample: int) -> NDArray[np.float64]:
        return uniforms(self.seed, epoch, sample, view, self.views[view].width)

    def _read(self, epoch: int, sample: int, unreadable: dict[str, str]) -> _Sample | None:
        """The sample, or the next in the source that can be read, with that one's own numbers; None if none can."""
        for distance in range(len(self.photos)):
            place = (sample + distance) % len(self.photos)
            numbers = [self._numbers(view, epoch, place) for view in range(len(self.views))]
            try:
                return place, self.photos.read(place, [view.crop for view in self.views], numbers), numbers
            except DataError as error:
                unreadable[self.photos.place(place)] = str(error)
        return None
