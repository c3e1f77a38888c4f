"""What a page takes of an index: its vectors, thumbnails, names and labels; nothing that names this machine."""

from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from ...hub.errors import ArtifactError, DataError
from ..index.image_index import ImageIndex, load
from ..index.item import Item


@dataclass(frozen=True)
class Collection:
    """The photos of an index in the order of their ids.

    vectors: (N, F) float32, unit rows.
    """

    index: ImageIndex
    ids: list[int]
    names: list[str]
    labels: list[str | None]
    vectors: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def thumbnail(self, position: int) -> bytes | None:
        """JPEG bytes; None where the index has none and the photo is gone, or may not be opened."""
        try:
            return self.index.thumbnail(self.ids[position])
        except (DataError, ArtifactError):
            return None

    def photos(self) -> list[Path]:
        """Those whose files are still where the index says."""
        return [path for item in self.index.items if (path := self._located(item)) is not None and path.is_file()]

    def _located(self, item: Item) -> Path | None:
        try:
            return self.index.locate(item)
        except ArtifactError:
            return None


def read_collection(folder: Path) -> Collection:
    """Open an index.

    Raises:
        ArtifactError: there is none, or it is damaged.
        DataError: it is empty.
    """
    index = load(folder)
    items = index.items
    if not items:
        raise DataError(f"{folder} holds no images; add some with `goodviews index add`.")
    ids = [item.id for item in items]
    names = [_public(item.path) for item in items]
    return Collection(index, ids, names, [item.label for item in items], index.vectors_of(ids))


def _public(path: str) -> str:
    """A path from its root on as it is; of any other, as a list of files may name it, the file's name alone."""
    pure = PurePath(path)
    return pure.name if pure.is_absolute() or ".." in pure.parts else path
