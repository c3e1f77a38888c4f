"""Photos to calibrate on and others to judge on: taken evenly from the user's data, none of them in both."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...hub.errors import DataError
from ...hub.sources.source import Data, Source, read_photo

CALIBRATION, JUDGES = 128, 1000
FEWEST = 21  # to judge on: each has 10 nearest neighbours, and they are not all of the others
BATCH = 32


@dataclass
class Sample:
    """Some photos of a source; `read` are the positions that could be read, once they were gone through."""

    source: Source
    positions: Sequence[int]
    read: list[int] = field(default_factory=list)

    def photos(self) -> Iterator[Image.Image]:
        """One by one; those that cannot be read are left out."""
        self.read.clear()
        for position in self.positions:
            try:
                photo = read_photo(self.source, position)
            except DataError:
                continue
            self.read.append(position)
            yield photo

    def batches(self) -> Iterator[list[Image.Image]]:
        batch: list[Image.Image] = []
        for photo in self.photos():
            batch.append(photo)
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def labels(self) -> NDArray[np.int64] | None:
        """(N,) of the photos that were read; None where there are none."""
        return None if self.source.labels is None else self.source.labels[self.read]


def split(data: Data) -> tuple[Sample, Sample]:
    """Photos to calibrate on, and others to judge on: of the test part where there is one.

    Raises:
        DataError: there are too few.
    """
    if data.test is not None and len(data.test) >= FEWEST:
        return Sample(data.train, _evenly(len(data.train), CALIBRATION)), Sample(
            data.test, _evenly(len(data.test), JUDGES)
        )
    count = len(data.train)
    if count < 2 * FEWEST:
        raise DataError(
            f"{data.train.name} holds {count} photos; to calibrate on some and judge on others give at least "
            f"{2 * FEWEST}, better {CALIBRATION + JUDGES}."
        )
    calibration = _evenly(count, min(CALIBRATION, count // 2))
    others = np.setdiff1d(np.arange(count), calibration)
    return Sample(data.train, calibration), Sample(data.train, others[_evenly(len(others), JUDGES)].tolist())


def _evenly(available: int, wanted: int) -> list[int]:
    return sorted({int(position) for position in np.linspace(0, available - 1, min(wanted, available))})
