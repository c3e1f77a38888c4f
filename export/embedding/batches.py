"""Batches of photos that take a bounded memory, whatever the photos' sizes."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from PIL import Image

BATCH_PIXELS = 50_000_000  # photos that wait for the network take at most 150 MB


class HasImage(Protocol):
    """A photo that was read, with what its reader knows of it."""

    @property
    def image(self) -> Image.Image: ...


P = TypeVar("P", bound=HasImage)


def batches(photos: Iterable[P], batch_size: int) -> Iterator[list[P]]:
    """Of `batch_size` photos, or fewer where they are large."""
    batch: list[P] = []
    pixels = 0
    for photo in photos:
        batch.append(photo)
        pixels += photo.image.width * photo.image.height
        if len(batch) == batch_size or pixels > BATCH_PIXELS:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch
