"""What one loader worker does: files to crops and random numbers, and on behalf of a CPU to finished views."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..hub.errors import DataError
from .decode import read_crops
from .randomness import uniforms
from .sources import Source
from .views import View

_Found = tuple[int, list[Tensor], list[NDArray[np.float64]]]  # sample; crop and uniform numbers of each view


class Loaded(NamedTuple):
    """What a worker hands over.

    Args:
        samples: (N,), int64.
        images: by view, finished; or crops (N, 3, px, px), uint8, when `numbers` is there to render them with.
            Empty when no image at all could be read.
        numbers: by view, (N, width), for `View.render`.
        unreadable: path and reason of every image that was met and could not be read.
    """

    samples: Tensor
    images: dict[str, Tensor]
    numbers: dict[str, Tensor]
    unreadable: list[tuple[str, str]]


class Photos(Dataset[Loaded]):
    """The photos of a source as batches of crops; with `renders`, of finished views."""

    def __init__(self, source: Source, views: Sequence[View], seed: int, *, renders: bool):
        self.source, self.views, self.seed, self.renders = source, views, seed, renders

    def __getitems__(self, places: list[tuple[int, int]]) -> Loaded:
        """The batch of these (epoch, sample)."""
        unreadable: dict[str, str] = {}
        readable = [self._read(epoch, sample, unreadable) for epoch, sample in places]
        found = [one for one in readable if one is not None]
        if len(found) < len(places):
            return Loaded(torch.empty(0), {}, {}, list(unreadable.items()))
        samples, crops, numbers = zip(*found, strict=True)
        names = [view.name for view in self.views]
        images = {name: torch.stack(crop) for name, crop in zip(names, zip(*crops, strict=True), strict=True)}
        rows = {
            name: torch.from_numpy(np.stack(row)) for name, row in zip(names, zip(*numbers, strict=True), strict=True)
        }
        if self.renders:
            images = {view.name: view.render(images[view.name], rows[view.name]) for view in self.views}
            rows = {}
        return Loaded(torch.tensor(samples), images, rows, list(unreadable.items()))

    def _read(self, epoch: int, sample: int, unreadable: dict[str, str]) -> _Found | None:
        """The sample, or the next in the source that can be read, with that one's own numbers; None if none can."""
        for distance in range(len(self.source)):
            place = (sample + distance) % len(self.source)
            name = self.source.place(place)
            numbers = [uniforms(self.seed, epoch, place, i, view.width) for i, view in enumerate(self.views)]
            try:
                crops = [view.crop for view in self.views]
                return place, read_crops(self.source.open(place), crops, numbers, name=name), numbers
            except DataError as error:
                unreadable[name] = str(error)
        return None
