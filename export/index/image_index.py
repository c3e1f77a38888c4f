"""An image index: the vectors of a folder of photos in faiss, bound to the encoder that made them.

A folder of three files: index.json (encoder, root folder), items.json (the images and their ids) and index.faiss
(their vectors by id). The search is exact: inner products of unit vectors, so similarities are cosines. Up to about
50 million numbers (24,000 images of 2048 dimensions) a query takes at most 15 ms on one thread; beyond, it stays
exact and takes longer in proportion.

Only ids in items.json count. Adding writes the vectors first, removing writes the items first, and either file is
replaced whole, so that a crash between the two leaves the index as it was before or as it should be after.

The only module that imports faiss.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...hub.errors import ArtifactError, Busy, DataError, GoodviewsError, MissingExtra, UsageError
from ...hub.files.atomic import new_folder, write_bytes
from ...hub.files.locks import sole_writer
from ...hub.files.overwrite import Input
from ...hub.identity import EncoderId
from ...hub.vectors import refuse_odd_vectors
from .faiss_header import check_faiss_file
from .files import About, Item, items_stamp, read_about, read_items, write_about, write_items


class IndexMismatch(GoodviewsError):
    """The vectors are another encoder's than the index's."""


@dataclass(frozen=True)
class Match:
    """A search result: cosine similarity, 1 for the same direction."""

    item: Item
    similarity: float


class ImageIndex:
    """Vectors, ids and images of one folder; `load` reads it, `empty` makes a new one.

    stamp: `items_stamp` from before the folder was read.
    """

    def __init__(
        self,
        folder: Path,
        about: About,
        items: Sequence[Item],
        vectors: Any,
        next_id: int,
        stamp: tuple[int, ...] = (),
    ):
        self.folder, self.about, self.next_id = folder, about, next_id
        self._stamp = stamp
        self._items = {item.id: item for item in items}
        self._vectors = vectors

    @property
    def items(self) -> list[Item]:
        """In the order of their ids."""
        return [self._items[key] for key in sorted(self._items)]

    def __len__(self) -> int:
        return len(self._items)

    def locate(self, item: Item) -> Path:
        """Where the image lies.

        Raises:
            ArtifactError: outside the folders that photos were taken from; a file must not say what is opened.
        """
        path = Path(os.path.normpath(self.about.root / item.path))
        if not any(path.is_relative_to(root) for root in (self.about.root, *self.about.further_roots)):
            raise ArtifactError(
                f"{self.folder} names {item.path}, outside the folders that its photos are from, so it is not opened; "
                f"add that folder with `goodviews index add` if you trust it."
            )
        return path

    def search(self, queries: np.ndarray, k: int, *, encoder: EncoderId) -> list[list[Match]]:
        """The k nearest images of each query, nearest first.

        Args:
            queries: (Q, F) float32, unit rows.
            k: how many; an index with fewer images gives all of them.
            encoder: that made the queries.

        Raises:
            IndexMismatch: another encoder than the index's.
            UsageError: k is below 1.
        """
        self.refuse_k(k)
        self.refuse_other(encoder)
        queries = self._unit_rows(queries)
        with _faiss() as faiss:
            # faiss uses BLAS only from this many numbers on; its default makes 2-62 queries up to 11 times as slow
            faiss.cvar.distance_compute_blas_threshold = 2 * queries.shape[1]
            similarities, ids = self._vectors.search(queries, min(k, len(self)))
        return [
            [Match(self._items[int(key)], float(similarity)) for key, similarity in zip(*row)]
            for row in zip(ids, similarities)
        ]

    def refuse_k(self, k: int) -> None:
        """Raise UsageError unless there can be k neighbours."""
        if k < 1:
            raise UsageError(f"k is {k}; ask for 1 neighbour or more.")
        if not len(self):
            raise UsageError(f"{self.folder} holds no images; add some with `goodviews index add`.")

    def insert(self, items: Sequence[Item], vectors: np.ndarray, *, encoder: EncoderId) -> None:
        """Add images in memory, replacing those of the same id; `write` or `save` puts them on disk.

        Args:
            items: ids from `next_id` on for new images.
            vectors: (len(items), F) float32, unit rows.
            encoder: that made the vectors.

        Raises:
            IndexMismatch: another encoder's vectors.
        """
        self.refuse_other(encoder)
        vectors = self._unit_rows(vectors)
        ids = np.array([item.id for item in items], np.int64)
        with _faiss():
            self._vectors.remove_ids(ids)
            self._vectors.add_with_ids(vectors, ids)
        self._items |= {item.id: item for item in items}
        self.next_id = max([self.next_id, *(item.id + 1 for item in items)])

    def write(self) -> None:
        """Make inserted images last in the folder that was loaded: vectors first, then the items that count them in.

        Raises:
            Busy: another process writes the folder, or has since it was loaded.
        """
        with self._sole_writer():
            write_about(self.folder, self.about)
            self._write_vectors(self.folder)
            write_items(self.folder, self.items, self.next_id)

    def trust(self, folder: Path) -> bool:
        """Let the index open photos of a further folder; False where it did already. `write` makes it last."""
        if any(folder.is_relative_to(root) for root in (self.about.root, *self.about.further_roots)):
            return False
        self.about = replace(self.about, further_roots=(*self.about.further_roots, folder))
        return True

    def remove(self, ids: Sequence[int]) -> None:
        """Remove images and write the folder; their ids are not used again.

        Raises:
            DataError: an id is not in the index; nothing is removed.
            Busy: another process writes the folder, or has since it was loaded.
        """
        unknown = [key for key in ids if key not in self._items]
        if unknown:
            raise DataError(f"{self.folder} has no image with id {unknown[0]}; nothing was removed.")
        with self._sole_writer():
            for key in set(ids):
                del self._items[key]
            with _faiss():
                self._vectors.remove_ids(np.array(sorted(set(ids)), np.int64))
            write_items(self.folder, self.items, self.next_id)
            self._write_vectors(self.folder)

    @contextmanager
    def _sole_writer(self) -> Iterator[None]:
        """Nobody else writes the folder, and it is as it was when it was loaded."""
        with sole_writer(self.folder):
            if items_stamp(self.folder) != self._stamp:
                raise Busy(f"{self.folder} was changed by another process since it was opened; open it again.")
            yield
            self._stamp = items_stamp(self.folder)

    def refuse_other(self, encoder: EncoderId) -> None:
        """Raise IndexMismatch unless `encoder` is the one that made this index, on whatever backend."""
        differences = self.about.encoder.differences(encoder)
        if differences:
            raise IndexMismatch(
                f"{self.folder} was built with {self.about.encoder.name}, not with {encoder.name}: "
                f"{', '.join(differences)}. Their vectors cannot be compared; use that encoder or build another index."
            )

    def save(self, out: Path, *, overwrite: bool = False, inputs: Sequence[Input] = ()) -> None:
        """Write the whole folder.

        Raises:
            OutputExists: it exists and `overwrite` is off.
        """
        with new_folder(out, overwrite, kind="index", inputs=inputs) as partial:
            self._write_vectors(partial)
            write_items(partial, self.items, self.next_id)
            write_about(partial, self.about)
        self.folder, self._stamp = out, items_stamp(out)

    def _write_vectors(self, folder: Path) -> None:
        with _faiss() as faiss:
            write_bytes(folder / "index.faiss", faiss.serialize_index(self._vectors).tobytes())

    def _unit_rows(self, vectors: np.ndarray) -> np.ndarray:
        dimension = self.about.dimension
        if vectors.ndim != 2 or vectors.shape[1] != dimension:
            raise IndexMismatch(
                f"{self.folder} holds vectors of {dimension} numbers; these have the shape {vectors.shape}."
            )
        refuse_odd_vectors(vectors, self.about.encoder.name)
        lengths = np.linalg.norm(vectors, axis=1)
        if not np.allclose(lengths, 1, atol=1e-3):
            raise DataError("The vectors are not of unit length; use encode() as it is, without normalise=False.")
        return np.ascontiguousarray(vectors, np.float32)


def empty(about: About) -> ImageIndex:
    """An index without images, not yet written."""
    with _faiss() as faiss:
        vectors = faiss.index_factory(about.dimension, "IDMap2,Flat", faiss.METRIC_INNER_PRODUCT)
    return ImageIndex(Path("(unsaved)"), about, [], vectors, next_id=0)


def load(folder: Path | str) -> ImageIndex:
    """Read an index folder.

    Raises:
        ArtifactError: the folder is missing, damaged, or another tool's.
        MissingExtra: faiss is not installed.
    """
    folder = Path(folder)
    about = read_about(folder)
    stamp = items_stamp(folder)
    items, next_id = read_items(folder)
    vectors = _read_vectors(folder / "index.faiss", about.dimension)
    with _faiss() as faiss:
        ids = faiss.vector_to_array(vectors.id_map).tolist()
        stored = set(ids)
        wanted = {item.id for item in items}
        if len(stored) < len(ids):
            raise ArtifactError(f"{folder} is damaged: an id has two vectors; build it again.")
        if wanted - stored:
            raise ArtifactError(
                f"{folder} is damaged: {len(wanted - stored)} of its images have no vector; build it again."
            )
        if stored - wanted:  # left by an interrupted add or remove
            vectors.remove_ids(np.array(sorted(stored - wanted), np.int64))
    return ImageIndex(folder, about, items, vectors, next_id, stamp)


def _read_vectors(path: Path, dimension: int) -> Any:
    count = check_faiss_file(path, dimension)
    with _faiss() as faiss:
        try:
            vectors = faiss.read_index(str(path))
        except (RuntimeError, MemoryError):
            raise ArtifactError(f"{path} is not a complete faiss index; build the index again.") from None
        numbers = faiss.rev_swig_ptr(faiss.downcast_index(vectors.index).get_xb(), count * dimension) if count else []
        if not np.isfinite(numbers).all():
            raise ArtifactError(f"{path} holds NaN or infinity; build the index again with a sound encoder.")
        return vectors


@contextmanager
def _faiss() -> Iterator[Any]:
    """faiss on one thread while the block runs.

    After a search on several threads a forked child (a data loader's worker) hangs in its own first search. The number
    is put back, since faiss may share it with torch.
    """
    if sys.platform == "darwin":  # torch and faiss both bring libomp, which aborts otherwise
        os.environ.setdefault("KMP_DUPLICATE_LIB_OK", "TRUE")
    try:
        import faiss
    except ModuleNotFoundError:
        raise MissingExtra("faiss", extra="retrieval", needed_for="An image index") from None
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield faiss
    finally:
        faiss.omp_set_num_threads(threads)
