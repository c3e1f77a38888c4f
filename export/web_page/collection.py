"""What a page takes of an index: its vectors, thumbnails, names and labels; nothing that names this machine."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...hub.errors import DataError
from ..index.image_index import ImageIndex, load


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
        """JPEG bytes; None where the index has none, since the photo was gone already."""
        try:
            return self.index.thumbnail(self.ids[position])
        except DataError:
            return None

    def photos(self) -> list[Path]:
        """Those whose files are still where the index says."""
        located = (self.index.locate(item) for item in self.index.items)
        return [path for path in located if path.is_file()]


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
    names = [item.path for item in items]  # from their roots on; the roots stay private
    return Collection(index, ids, names, [item.label for item in items], index.vectors_of(ids))
