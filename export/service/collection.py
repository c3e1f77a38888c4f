"""One index as the service sees it: the only file of this room that knows how an index stores its photos."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np

from ...hub.errors import DataError, GoodviewsError, UsageError
from ...hub.identity import EncoderId
from ...hub.images import opened, to_rgb
from ...hub.web import Refusal
from ..index.image_index import ImageIndex, load
from ..index.item import Filter, Item, Match
from ..index.state import read_generation

PREVIEW_PX = 1280


class Collection:
    """A state of an index that does not change; the service puts another in its place when the folder changes."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.index: ImageIndex = load(folder)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def encoder(self) -> EncoderId:
        return self.index.about.encoder

    def item(self, number: int) -> Item | None:
        """The photo of an id; None if there is none."""
        try:
            return self.index.item(number)
        except DataError:
            return None

    def path_of(self, item: Item) -> str:
        """What people call a photo."""
        return self.index.name_of(item)

    def select(self, within: Filter) -> np.ndarray:
        """(N,) int64, the ids of the photos that are meant, ascending."""
        return self.index.ids_of(within) if within else self._all

    @cached_property
    def _all(self) -> np.ndarray:
        return self.index.ids_of(Filter())

    def find(self, query: np.ndarray, k: int, encoder: EncoderId, within: Filter) -> list[Match]:
        """The k photos nearest to a vector (F,), nearest first."""
        if not len(self):
            return []
        return self.index.search(query[None], k, encoder=encoder, among=within or None)[0]

    def vectors_of(self, numbers: Sequence[int]) -> np.ndarray:
        """(N, F) float32."""
        return self.index.vectors_of(numbers)

    @cached_property
    def folders(self) -> list[tuple[str, int]]:
        """Every folder with the photos below it, in the order of their names."""
        return self._counts[0]

    @cached_property
    def labels(self) -> list[tuple[str, int]]:
        """Every class with its photos, in the order of their names."""
        return self._counts[1]

    @cached_property
    def dates(self) -> tuple[str, str] | None:
        """The first and the last day that photos are from, where some say it."""
        return self._counts[2]

    @cached_property
    def _counts(self) -> tuple[list[tuple[str, int]], list[tuple[str, int]], tuple[str, str] | None]:
        folders: Counter[str] = Counter()
        labels: Counter[str] = Counter()
        days: set[str] = set()
        for item in self.index.items:
            folders.update(str(parent) for parent in PurePosixPath(item.path).parents if parent.name)
            labels.update([item.label] if item.label is not None else [])
            days.update([item.date[:10]] if item.date is not None else [])
        return sorted(folders.items()), sorted(labels.items()), (min(days), max(days)) if days else None

    def thumbnail(self, number: int) -> bytes:
        """A small JPEG of a photo.

        Raises:
            GoodviewsError: none is stored, and its file is gone or cannot be read.
        """
        return self.index.thumbnail(number)

    def preview(self, number: int) -> bytes:
        """A JPEG of a photo that fills a screen, without what its file says beside the pixels.

        Raises:
            GoodviewsError: its file is gone or cannot be read.
        """
        preprocessing = self.encoder.preprocessing
        with opened(self.file(number)) as image:
            image.draft("RGB", (PREVIEW_PX, PREVIEW_PX))  # a large JPEG decodes smaller at once
            image.load()
            small = to_rgb(image, values=None if preprocessing is None else preprocessing.values)
        small.thumbnail((PREVIEW_PX, PREVIEW_PX))
        stream = BytesIO()
        small.save(stream, "JPEG", quality=85)
        return stream.getvalue()

    def file(self, number: int) -> Path:
        """Where a photo lies.

        Raises:
            GoodviewsError: outside the folders that the index may open.
        """
        return self.index.locate(self.index.item(number))


def mark_of(item: Item) -> str:
    """Changes when a photo does: the end of a thumbnail's address, so that browsers may keep it."""
    return hashlib.sha256(repr((item.path, item.sha256, item.modified_ns)).encode()).hexdigest()[:12]


def filter_of(folder: str | None, label: str | None, after: str | None, before: str | None) -> Filter:
    """Raises:
    Refusal: 400, a date is none.
    """
    try:
        return Filter(folder, label, after, before)
    except UsageError as error:
        raise Refusal(400, str(error)) from None


def generation_now(folder: Path) -> int | None:
    """Another number after each change on disk; None for a folder that cannot be read at the moment."""
    try:
        return read_generation(folder)
    except (OSError, GoodviewsError):
        return None
