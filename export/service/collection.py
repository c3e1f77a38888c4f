"""One index as the service sees it: the only file of this room that knows how an index stores its photos."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np

from ...hub.errors import GoodviewsError
from ...hub.identity import EncoderId
from ...hub.images import opened, to_rgb
from ..index.image_index import ImageIndex, load
from ..index.item import Item, Match
from ..index.state import read_generation

THUMBNAIL_PX = 256
PREVIEW_PX = 1280


@dataclass(frozen=True)
class Within:
    """Which photos of an index are meant: below a folder, of a class, taken between two days; None means any."""

    folder: str | None = None
    label: str | None = None
    after: str | None = None
    before: str | None = None

    def holds(self, item: Item) -> bool:
        path = item.path
        is_below = self.folder is None or path.startswith(self.folder.rstrip("/") + "/")
        date = date_of(item) or ""
        is_in_time = (self.after is None or date[:10] >= self.after) and (
            self.before is None or "" < date[:10] <= self.before
        )
        return is_below and is_in_time and (self.label is None or label_of(item) == self.label)

    @property
    def is_all(self) -> bool:
        return self == Within()


class Collection:
    """A state of an index that does not change; the service puts another in its place when the folder changes."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.generation = generation_of(folder)  # before it is read: a change meanwhile is noticed
        self._index: ImageIndex = load(folder)
        self._items = {item.id: item for item in self._index.items}
        self._thumbnails: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def encoder(self) -> EncoderId:
        return self._index.about.encoder

    @property
    def index(self) -> ImageIndex:
        return self._index

    @cached_property
    def items(self) -> list[Item]:
        return self._index.items

    def item(self, number: int) -> Item | None:
        return self._items.get(number)

    def select(self, within: Within) -> list[Item]:
        return self.items if within.is_all else [item for item in self.items if within.holds(item)]

    def find(self, query: np.ndarray, k: int, encoder: EncoderId, within: Within) -> list[Match]:
        """The k photos nearest to a vector (F,), nearest first."""
        if not len(self):
            return []
        if within.is_all:
            return self._index.search(query[None], k, encoder=encoder)[0]
        found = self._index.search(query[None], len(self), encoder=encoder)[0]
        return [match for match in found if within.holds(match.item)][:k]

    def vectors_of(self, numbers: Sequence[int]) -> np.ndarray:
        """(N, F) float32."""
        return self._index.vectors_of(numbers)

    @cached_property
    def folders(self) -> list[tuple[str, int]]:
        """Every folder with the photos below it, in the order of their names."""
        counts: dict[str, int] = {}
        for item in self.items:
            for parent in PurePosixPath(item.path).parents:
                if parent.name:
                    counts[str(parent)] = counts.get(str(parent), 0) + 1
        return sorted(counts.items())

    @cached_property
    def labels(self) -> list[tuple[str, int]]:
        """Every class with its photos, in the order of their names."""
        counts: dict[str, int] = {}
        for item in self.items:
            if (label := label_of(item)) is not None:
                counts[label] = counts.get(label, 0) + 1
        return sorted(counts.items())

    @cached_property
    def dates(self) -> tuple[str, str] | None:
        """The first and the last day that photos are from, where the index knows it."""
        days = [date[:10] for item in self.items if (date := date_of(item))]
        return (min(days), max(days)) if days else None

    def thumbnail(self, number: int, *, most_bytes: int) -> bytes:
        """A small JPEG of a photo.

        Raises:
            DataError: its file is gone or cannot be read.
        """
        with self._lock:
            if number in self._thumbnails:
                self._thumbnails.move_to_end(number)
                return self._thumbnails[number]
        made = self._smaller(number, THUMBNAIL_PX)
        with self._lock:
            self._thumbnails[number] = made
            total = sum(map(len, self._thumbnails.values()))
            while total > most_bytes:
                total -= len(self._thumbnails.popitem(last=False)[1])
        return made

    def preview(self, number: int) -> bytes:
        """A JPEG of a photo that fills a screen, without what its file says beside the pixels.

        Raises:
            DataError: its file is gone or cannot be read.
        """
        return self._smaller(number, PREVIEW_PX)

    def photo(self, number: int) -> Path:
        """Where a photo's file lies.

        Raises:
            GoodviewsError: outside the folders that the index may open.
        """
        return self._index.locate(self._items[number])

    def mark_of(self, number: int) -> str:
        """Changes when a photo does: the end of a thumbnail's address, so that browsers may keep it."""
        item = self._items[number]
        return hashlib.sha256(repr((item.path, item.size, item.modified_ns, item.sha256)).encode()).hexdigest()[:12]

    def _smaller(self, number: int, px: int) -> bytes:
        with opened(self.photo(number)) as image:
            image.draft("RGB", (px, px))  # a JPEG decodes smaller at once
            image.load()
            small = to_rgb(image, values=self.encoder.preprocessing.values if self.encoder.preprocessing else None)
        small.thumbnail((px, px))
        stream = BytesIO()
        small.save(stream, "JPEG", quality=85)
        return stream.getvalue()


def generation_of(folder: Path) -> int:
    """Another value after each change on disk; cheap."""
    return read_generation(folder)


def label_of(item: Item) -> str | None:
    """The class of a photo: its class folder."""
    return item.label


def date_of(item: Item) -> str | None:
    """When a photo was taken, if the index knows it."""
    return item.date


def has_changed(collection: Collection) -> bool:
    """Whether the folder holds another state than this; a folder that is gone for a moment has not changed."""
    try:
        now = generation_of(collection.folder)
    except (OSError, GoodviewsError):
        return False
    return now != collection.generation
