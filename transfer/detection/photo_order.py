"""Which photos make a training batch of detection, at what size and whether flipped: by the seed alone.

No batch needs those before it, so a stopped run continues with the photos of an unbroken one, whatever the engine and
the number of workers.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from ..datasets.photo_table import PhotoTable
from ..seeds import ORDER, SAMPLE, generator
from .settings import DetectionSettings


@dataclass(frozen=True)
class PhotoOrder:
    """Batches `start` to `stop` of (position, photo): photos shuffled anew each pass, wide and tall ones apart.

    So padding stays small. A batch is complete as soon as one of the two groups fills it. With several processes, each
    takes the positions rank, rank + world, ... and makes batches of its own, all as in detectron2.
    """

    photos: PhotoTable
    batch_size: int  # of one process
    seed: int
    start: int
    stop: int
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        assert self.photos, "without photos the first batch never comes"

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        waiting: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        is_wide = self.photos.sizes[:, 0] > self.photos.sizes[:, 1]
        complete = 0
        for position, index in itertools.islice(enumerate(self._photos_forever()), self.rank, None, self.world):
            if complete == self.stop:
                return
            group = waiting[bool(is_wide[index])]
            group.append((position, index))
            if len(group) == self.batch_size:
                if complete >= self.start:
                    yield group.copy()
                group.clear()
                complete += 1

    def _photos_forever(self) -> Iterator[int]:
        random = generator(self.seed, ORDER)
        while True:
            yield from random.permutation(len(self.photos)).tolist()


def draw_size_and_flip(settings: DetectionSettings, seed: int, position: int) -> tuple[int, bool]:
    """For the photo at a position: its shorter side in pixels, and whether it is flipped."""
    random = generator(seed, SAMPLE, position)
    return int(random.choice(settings.short_sides_px)), bool(random.random() < settings.flip)
