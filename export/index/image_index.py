"""An image index: the vectors of photos and what is known of each, bound to the encoder that made them.

    index = load("index")
    matches = index.search(encoder.encode(["a.jpg"]), 5, encoder=encoder.id)[0]

A folder of index.json (whose vectors), index.sqlite (the photos) and mapped files of vectors. Whoever opens it sees it
as it was then until `reload`, whatever others change; `change` is for changing it. A fork opens it anew.
"""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ...hub.errors import ArtifactError, DataError, GoodviewsError, UsageError
from ...hub.identity import EncoderId
from ...hub.images import read_image
from ...hub.vectors import refuse_odd_vectors
from ..nearest.exact import best, nearest_of_rows, nearest_rows
from ..nearest.groups import groups, pairs_by_search, pairs_of_all
from ..nearest.segments import from_row, gather, ids_of_rows
from .about import About
from .item import Filter, Item, Match
from .state import State, read_generation, read_state
from .upkeep import describe

THUMBNAIL_PX = 256
_OF_PARENTS: list[State] = []  # a fork must not close its parent's database, only leave it alone
ROUNDING = 1e-6  # two equal vectors have a cosine of 1 but for this
DUPLICATES_AT_ONCE = 4096
FEW_NUMBERS = 50_000_000  # of a filtered search: so many are compared one by one, in at most 15 ms


class IndexMismatch(GoodviewsError):
    """The vectors are another encoder's than the index's."""


class ImageIndex:
    """An opened index; `load` opens it. Several threads may search at once."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._opened, self._process = read_state(folder), os.getpid()

    @property
    def _state(self) -> State:
        """The index as it was opened; a fork must not use its parent's database, so it opens its own."""
        if os.getpid() != self._process:
            self.reload()
        return self._opened

    @property
    def about(self) -> About:
        """Whose vectors these are, and where the photos are."""
        return self._state.about

    @property
    def generation(self) -> int:
        """Changes with every change of the index; `read_generation` says what it is on disk now."""
        return self._state.generation

    @property
    def items(self) -> list[Item]:
        """All photos, in the order of their ids."""
        return self._state.table.items()

    def __len__(self) -> int:
        return self._state.count

    @property
    def format(self) -> int:
        """Of its folder: 1 until an index of the first format is changed, then 2."""
        return self._state.format

    @property
    def removed(self) -> int:
        """Vectors of photos that were removed or changed, still in its files; the next large change clears them."""
        return 0 if self._state.dead is None else int(self._state.dead.sum())

    def duplicate_groups(self, threshold: float) -> list[list[int]]:
        """Ids of photos that are nearly the same, in groups that are linked by pairs.

        In a large index, pairs are those that its search finds.

        Args:
            threshold: least cosine of a pair, above 0.

        Raises:
            UsageError: the threshold is no such cosine.
        """
        if not 0 < threshold <= 1:
            raise UsageError(f"threshold is {threshold}; it must be a cosine above 0, and 1 at most.")
        state = self._state
        rows = np.arange(state.rows) if state.alive is None else np.flatnonzero(state.alive)
        near = threshold - ROUNDING
        if state.nearest is None:
            found = groups(len(rows), pairs_of_all(gather(state.segments, rows), near))
        else:
            some = np.array_split(rows, -(-len(rows) // DUPLICATES_AT_ONCE))
            blocks = ((part, gather(state.segments, part)) for part in some)
            by_row = groups(
                state.rows,
                pairs_by_search(blocks, lambda vectors, k: _search_allowed(state, vectors, k, state.alive), near),
            )
            found = [np.searchsorted(rows, part) for part in by_row]
        ids = ids_of_rows(state.segments, rows)
        return sorted(sorted(ids[part].tolist()) for part in found)

    def describe_search(self) -> str:
        """What kind of search this is, and what it was found to do."""
        nearest = self._state.nearest
        return "exact cosine search" if nearest is None else describe(nearest.kind, nearest.measured)

    def reload(self) -> bool:
        """See the index as it is on disk now; False where that is how it was seen already."""
        if os.getpid() == self._process and read_generation(self.folder) == self._opened.generation:
            return False
        if os.getpid() != self._process:
            _OF_PARENTS.append(self._opened)
        self._opened, self._process = read_state(self.folder), os.getpid()
        return True

    def item(self, key: int) -> Item:
        """The photo of an id.

        Raises:
            DataError: there is none.
        """
        return self.items_of([key])[0]

    def items_of(self, ids: Sequence[int]) -> list[Item]:
        """The photos of some ids, in their order.

        Raises:
            DataError: an id is not in the index.
        """
        found = self._state.table.items_of([int(key) for key in ids])
        missing = next((key for key in ids if int(key) not in found), None)
        if missing is not None:
            raise DataError(f"{self.folder} has no image with id {missing}.")
        return [found[int(key)] for key in ids]

    def name_of(self, item: Item) -> str:
        """What to call a photo: its path from the folder that the index was built from, else its whole path."""
        return item.path if item.root == self.about.root else item.full_path.as_posix()

    def ids_of(self, among: Filter) -> np.ndarray:
        """(N,) int64, the ids of the photos that a filter lets pass, ascending."""
        return self._state.table.matching(among)[0]

    def vectors_of(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """(len(ids), F) float32 unit rows.

        Raises:
            DataError: an id is not in the index.
        """
        state = self._state
        rows = state.table.rows_of([int(key) for key in ids])
        missing = next((key for key in ids if int(key) not in rows), None)
        if missing is not None:
            raise DataError(f"{self.folder} has no image with id {missing}.")
        return gather(state.segments, np.array([rows[int(key)] for key in ids], np.int64))

    @property
    def scanned_roots(self) -> list[Path]:
        """The folders in which a refresh looks for new photos: those that were given whole."""
        roots = self._state.table.roots()
        return [roots[key] for key in self._state.table.scanned_roots()]

    @property
    def next_id(self) -> int:
        """The first id never used."""
        return self._state.table.whole("next_id")

    def stored_thumbnail(self, key: int) -> bytes | None:
        """As `thumbnail`, where the index has it itself."""
        found = self._state.table.ask("SELECT jpeg FROM thumbnails WHERE id = ?", (int(key),))
        return bytes(found[0][0]) if found else None

    def thumbnail(self, key: int) -> bytes:
        """JPEG, upright, its longest side at most THUMBNAIL_PX: the stored one, or one of the photo itself.

        Raises:
            DataError: there is no such photo, or neither is there.
            ArtifactError: as `locate`.
        """
        stored = self.stored_thumbnail(key)
        if stored is not None:
            return stored
        preprocessing = self.about.encoder.preprocessing
        values = preprocessing.values if preprocessing is not None else None
        return make_thumbnail(read_image(self.locate(self.item(key)), values=values))

    def locate(self, item: Item) -> Path:
        """Where the image lies.

        Raises:
            ArtifactError: outside the folders that photos were taken from; a file must not say what is opened.
        """
        if not any(item.full_path.is_relative_to(root) for root in (self.about.root, *self.about.further_roots)):
            raise ArtifactError(
                f"{self.folder} names {item.path}, outside the folders that its photos are from, so it is not opened; "
                f"add that folder with `goodviews index add` if you trust it."
            )
        return item.full_path

    def search(
        self, queries: np.ndarray, k: int, *, encoder: EncoderId, among: Filter | None = None
    ) -> list[list[Match]]:
        """The k nearest images of each query, nearest first; ties by the lower id.

        Args:
            queries: (Q, F) float32, unit rows.
            k: how many; where fewer are to be found, all of them.
            encoder: that made the queries.
            among: which photos; by default all.

        Raises:
            IndexMismatch: another encoder than the index's.
            UsageError: k is below 1, or the index is empty.
        """
        self.refuse_k(k)
        self.refuse_other(encoder)
        state, queries = self._state, self.unit_rows(queries)
        similarities, rows = _search(state, queries, k, among)
        ids = ids_of_rows(state.segments, rows.reshape(-1)).reshape(rows.shape)
        wanted = np.unique(ids[rows >= 0]).tolist()
        items = state.table.items_of(wanted)
        if len(items) < len(wanted) or not np.isfinite(similarities[rows >= 0]).all():
            raise ArtifactError(f"{self.folder} is damaged: vectors are NaN or of no photo; build it again.")
        return [
            [Match(items[key], float(similarity)) for key, similarity, row in zip(*line) if row >= 0]
            for line in zip(ids.tolist(), similarities.tolist(), rows.tolist())
        ]

    def refuse_k(self, k: int) -> None:
        """Raise UsageError unless there can be k neighbours."""
        if k < 1:
            raise UsageError(f"k is {k}; ask for 1 neighbour or more.")
        if not len(self):
            raise UsageError(f"{self.folder} holds no images; add some with `goodviews index add`.")

    def refuse_other(self, encoder: EncoderId) -> None:
        """Raise IndexMismatch unless `encoder` is the one that made this index, on whatever backend."""
        if not isinstance(encoder, EncoderId):
            raise UsageError(f"An index compares the ids of encoders; give encoder.id, not {type(encoder).__name__}.")
        differences = self.about.encoder.differences(encoder)
        if differences:
            raise IndexMismatch(
                f"{self.folder} was built with {self.about.encoder.name}, not with {encoder.name}: "
                f"{', '.join(differences)}. Their vectors cannot be compared; use that encoder or build another index."
            )

    def unit_rows(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors as a search compares them.

        Raises:
            IndexMismatch: they have another dimension.
            DataError: they are not of unit length.
        """
        return unit_rows(vectors, self.about, self.folder)


def unit_rows(vectors: np.ndarray, about: About, folder: Path) -> np.ndarray:
    """Vectors of an encoder, if an index can hold them; see `ImageIndex.unit_rows`."""
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or vectors.shape[1] != about.dimension:
        raise IndexMismatch(
            f"{folder} holds vectors of {about.dimension} numbers; these have the shape {vectors.shape}."
        )
    refuse_odd_vectors(vectors, about.encoder.name)
    if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
        raise DataError("The vectors are not of unit length; use encode() as it is, without normalise=False.")
    return np.ascontiguousarray(vectors, np.float32)


def make_thumbnail(photo: Image.Image) -> bytes:
    """A small JPEG of an upright photo."""
    small = photo.copy()
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BICUBIC, reducing_gap=2.0)
    content = io.BytesIO()
    small.save(content, "JPEG", quality=80)
    return content.getvalue()


def load(folder: Path | str) -> ImageIndex:
    """Open an index folder; of today's format at once, whatever its size.

    Raises:
        ArtifactError: the folder is missing, damaged, or another tool's.
    """
    return ImageIndex(Path(folder))


def _search(state: State, queries: np.ndarray, k: int, among: Filter | None) -> tuple[np.ndarray, np.ndarray]:
    """(Q, k) similarities and rows; a row of -1 where there are fewer photos."""
    if among:
        rows = np.sort(state.table.matching(among)[1])
        k = min(k, len(rows))
        if not k:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        if len(rows) * state.about.dimension <= FEW_NUMBERS:
            return nearest_of_rows(queries, state.segments, k, rows)
        allowed = np.zeros(state.rows, bool)
        allowed[rows] = True
        return _search_allowed(state, queries, k, allowed)
    return _search_allowed(state, queries, min(k, state.count), state.alive)


def _search_allowed(
    state: State, queries: np.ndarray, k: int, allowed: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """By the faiss index where there is one, and one by one among the rows that it does not cover."""
    if state.nearest is None:
        return nearest_rows(queries, state.segments, k, allowed)
    index = state.nearest.open(state.folder, state.about.dimension)
    found = index.search(queries, state.segments, k, settings=state.nearest.settings, allowed=allowed)
    late = nearest_rows(queries, from_row(state.segments, index.rows), k, allowed)
    return best([found, late], k, len(queries))
