"""Photos into an index that is being changed: read once, embedded in batches, written as they come."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...hub.errors import UsageError
from ...hub.images import SkippedImages
from ...hub.output.progress import track
from ...hub.photo_encoder import PhotoEncoder
from ..embedding.batches import batches
from .change import Entry
from .item import label_of
from .read_photos import Photo, read_photos


@dataclass(frozen=True)
class Place:
    """Where a photo lies: the number of its root, and its path from there."""

    root: int
    path: str


@dataclass(frozen=True)
class Work:
    """How photos are embedded.

    Attributes:
        batch_size: photos in a forward pass.
        workers: processes that read photos, 0 for none beside this one.
        progress: show how far it is.
    """

    batch_size: int = 64
    workers: int = 0
    progress: bool = False

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UsageError(f"batch_size is {self.batch_size}; it must be 1 or more.")
        if self.workers < 0:
            raise UsageError(f"workers is {self.workers}; it must be 0 or more.")


def embed_photos(
    encoder: PhotoEncoder,
    paths: Sequence[Path],
    places: Sequence[Place],
    work: Work,
    skipped: SkippedImages,
    take: Callable[[list[int], list[Entry], np.ndarray], object],
) -> None:
    """Embed photos and hand them on batch by batch: their positions, what the index is to know of them, vectors."""

    def readable() -> Iterator[Photo]:
        found = read_photos(paths, values=encoder.preprocessing.values, workers=work.workers)
        for photo in track(_Counted(found, len(paths)), "Embedding", is_shown=work.progress):
            if isinstance(photo, Photo):
                yield photo
            else:
                skipped.add(paths[photo[0]], str(photo[1]), photo[0])

    for batch in batches(readable(), work.batch_size):
        vectors = encoder.encode([photo.image for photo in batch], batch_size=work.batch_size)
        positions = [photo.position for photo in batch]
        take(positions, [entry_of(photo, places[photo.position]) for photo in batch], vectors)


def entry_of(photo: Photo, place: Place) -> Entry:
    """What the index is to know of a photo that was read."""
    content = photo.content
    return Entry(
        place.root,
        place.path,
        content.sha256,
        content.size,
        photo.date,
        label_of(place.path),
        content.modified_ns,
        photo.thumbnail,
    )


@dataclass(frozen=True)
class _Counted:
    items: "Iterator[Photo | tuple[int, Exception]]"
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> "Iterator[Photo | tuple[int, Exception]]":
        return self.items
