"""Which photos make a training batch of detection, at what size and whether flipped: by the seed alone.

Any batch can be made without those before it being read, so a stopped run continues with the photos that an unbroken
one sees, whatever the engine and the number of workers.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..datasets.labelled_photos import LabelledPhoto
from .settings import DetectionSettings


@dataclass(frozen=True)
class PhotoOrder:
    """Batches `start` to `stop` of (position, photo): photos shuffled anew each pass, wide and tall ones apart.

    So little is padded. A batch is given out as soon as one of the two groups has filled it. Of several processes each
    has the positions rank, rank + world, ... and makes batches of them for itself, all as detectron2 does.
    """

    photos: Sequence[LabelledPhoto]
    batch_size: int  # of one process
    seed: int
    start: int
    stop: int
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        assert self.photos, "without photos the first batch would be waited for forever"

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        waiting: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        given = 0
        for position, index in itertools.islice(enumerate(self._photos_forever()), self.rank, None, self.world):
            if given == self.stop:
                return
            group = waiting[self.photos[index].width > self.photos[index].height]
            group.append((position, index))
            if len(group) == self.batch_size:
                if given >= self.start:
                    yield group.copy()
                group.clear()
                given += 1

    def _photos_forever(self) -> Iterator[int]:
        random = np.random.default_rng((self.seed, 0))
        while True:
            yield from random.permutation(len(self.photos)).tolist()


def drawn(settings: DetectionSettings, seed: int, position: int) -> tuple[int, bool]:
    """What the photo at a position gets: its shorter side in pixels, and whether it is flipped."""
    random = np.random.default_rng((seed, 1, position))
    return int(random.choice(settings.short_sides_px)), bool(random.random() < settings.flip)
