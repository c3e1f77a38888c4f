"""A faiss index over all rows of an index's segments: built once, mapped, and asked for candidates.

Candidates are compared again with the vectors themselves, so that similarities are exact cosines whatever the kind of
index; what it can miss is a neighbour. Rows are its ids: no IDMap, which mixes ids up after a removal from an IVF
index. Rows that were removed are passed over in the search.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...hub.errors import ArtifactError
from .exact import best
from .faiss_library import one_thread
from .segments import BLOCK_BYTES, Segment, from_row, gather, in_blocks

TRAINED_ON = 40  # vectors for each cell
TRAINED_LEAST, TRAINED_MOST = 10_000, 500_000
SPARE = 6  # further candidates, so that ties at the end are decided by us
QUERIES_AT_ONCE = 64
MOST_EFFORT = 18


@dataclass(frozen=True)
class Settings:
    """How hard a search looks.

    Attributes:
        effort: 0 to MOST_EFFORT; two steps double the cells, or the graph's list, that are looked at.
    """

    effort: int = 0

    @property
    def cells(self) -> int:
        """Cells of an IVF index that are looked into."""
        return round(4 * 2 ** (self.effort / 2))

    @property
    def list_length(self) -> int:
        """Of the candidates in an HNSW graph."""
        return round(32 * 2 ** (self.effort / 2))

    @property
    def candidates(self) -> int:
        """For each neighbour that is wanted, candidates whose vectors are compared again."""
        return min(64, 4 << (self.effort // 4))


class Approximate:
    """A faiss index of the first rows of an index; `build` makes its file, `open_index` maps it."""

    def __init__(self, index: Any, kind: str):
        self.kind = kind
        self._index = index
        self.rows = int(index.ntotal)

    def search(
        self,
        queries: np.ndarray,
        segments: Sequence[Segment],
        k: int,
        *,
        settings: Settings,
        allowed: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k rows most similar to each query, the most similar first; fewer are found where few are looked at.

        Args:
            queries: (Q, F) float32, unit rows.
            segments: with the vectors of all rows.
            allowed: (rows of the index,) bool; None allows all.

        Returns:
            (Q, k) exact cosine similarities and (Q, k) rows; a row of -1 where there are fewer.
        """
        settings = replace(settings, effort=settings.effort + _more_for(k))
        parts = [
            self._of_few(queries[first : first + QUERIES_AT_ONCE], segments, k, settings, allowed)
            for first in range(0, len(queries), QUERIES_AT_ONCE)
        ]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _of_few(
        self,
        queries: np.ndarray,
        segments: Sequence[Segment],
        k: int,
        settings: Settings,
        allowed: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        rows = self._candidates(queries, k + SPARE, settings, allowed)
        if (rows[:, : min(k, self.rows)] < 0).any():  # the cells hold too few that are allowed: look into all
            rows = self._candidates(queries, k + SPARE, replace(settings, effort=40), allowed)
        flat = rows.reshape(-1)
        vectors = gather(segments, np.where(flat < 0, 0, flat)).reshape(*rows.shape, -1)
        similarities = np.einsum("qcf,qf->qc", vectors, queries)
        return best([(similarities, rows)], k, len(queries))

    def _candidates(
        self, queries: np.ndarray, count: int, settings: Settings, allowed: np.ndarray | None
    ) -> np.ndarray:
        with one_thread() as faiss:
            chosen = None
            if allowed is not None and not allowed[: self.rows].all():
                bits = np.packbits(allowed[: self.rows], bitorder="little")
                chosen = faiss.IDSelectorBitmap(bits)
            is_coarse = not _compares_well(self.kind)
            wanted = count * settings.candidates if is_coarse else count
            parameters = _parameters(faiss, self._index, settings, chosen)
            rows: np.ndarray = self._index.search(queries, min(wanted, self.rows), params=parameters)[1]
            return rows


def build_index(kind: str, segments: Sequence[Segment], path: Path) -> None:
    """Learn an index from a sample of the vectors, put all rows into it, and write it."""
    dimension = segments[0].vectors.shape[1]
    with one_thread() as faiss:
        index = faiss.index_factory(dimension, kind, faiss.METRIC_L2)
        index.train(_sample(segments, kind))
        _add(index, segments, 0)
        _write(faiss, index, path)


def extend_index(old: Path, segments: Sequence[Segment], path: Path) -> None:
    """Put the rows that an index lacks into a copy of it; what it learned stays."""
    with one_thread() as faiss:
        index = faiss.read_index(str(old))
        _add(index, segments, int(index.ntotal))
        _write(faiss, index, path)


def open_index(path: Path, kind: str, rows: int, dimension: int) -> Approximate:
    """Map an index's file.

    Raises:
        ArtifactError: it is damaged, or another one's.
    """
    with one_thread() as faiss:
        try:
            index = faiss.read_index(str(path), getattr(faiss, "IO_FLAG_MMAP_IFC", 0))
        except (RuntimeError, MemoryError):
            raise ArtifactError(f"{path} is not a whole faiss index; build the index again.") from None
    if index.ntotal != rows or index.d != dimension:
        raise ArtifactError(
            f"{path} holds {index.ntotal} vectors of {index.d} numbers, where the index has {rows} of {dimension}; "
            "build the index again."
        )
    return Approximate(index, kind)


def can_look_harder(kind: str, effort: int) -> bool:
    """Whether more effort can find more."""
    if effort >= MOST_EFFORT:
        return False
    return "HNSW" in kind or not _compares_well(kind) or Settings(effort).cells < _cells_of(kind)


def _compares_well(kind: str) -> bool:
    """Whether the order of its candidates needs no second look at more of them: the vectors are whole in it."""
    parts = kind.replace("(", ",").split(",")
    return (parts[-1] == "Flat" and not any(part.startswith(("PCA", "OPQ", "RR")) for part in parts[:-1])) or (
        "HNSW" in kind and "PCA" not in kind and "SQ" not in kind and "PQ" not in kind
    )


def _cells_of(kind: str) -> int:
    """Of an IVF index; 0 of others."""
    parts = (re.match(r"IVF(\d+)", part) for part in kind.split(","))
    return max((int(part[1]) for part in parts if part), default=0)


def _more_for(k: int) -> int:
    """Steps of effort for more neighbours than the 10 that it was measured with."""
    return 2 * ((k - 1) // 25).bit_length()


def _parameters(faiss: Any, index: Any, settings: Settings, chosen: Any) -> Any:
    """Of a search, nested as the index is."""
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexRefine):
        inner = _parameters(faiss, index.base_index, settings, chosen)
        return faiss.IndexRefineSearchParameters(k_factor=float(settings.candidates), base_index_params=inner)
    if isinstance(index, faiss.IndexPreTransform):
        inner = _parameters(faiss, index.index, settings, chosen)
        return faiss.SearchParametersPreTransform(index_params=inner)
    if isinstance(index, faiss.IndexIVF):
        return faiss.SearchParametersIVF(nprobe=min(settings.cells, index.nlist), sel=chosen)
    if isinstance(index, faiss.IndexHNSW):
        length = min(settings.list_length, max(int(index.ntotal), 1))
        return faiss.SearchParametersHNSW(efSearch=length, sel=chosen)
    return faiss.SearchParameters(sel=chosen)


def _sample(segments: Sequence[Segment], kind: str) -> np.ndarray:
    """Rows to learn from, the same for the same index."""
    rows = segments[-1].end
    count = min(rows, max(TRAINED_LEAST, min(TRAINED_ON * _cells_of(kind), TRAINED_MOST)))
    chosen = np.sort(np.random.default_rng(0).choice(rows, count, replace=False))
    found = np.empty((count, segments[0].vectors.shape[1]), np.float32)
    done = 0
    for segment in segments:
        for first, block in in_blocks(segment.vectors):
            start, end = np.searchsorted(chosen, [segment.first_row + first, segment.first_row + first + len(block)])
            found[start:end] = block[chosen[start:end] - segment.first_row - first]
            done += end - start
    assert done == count, "every row is in a segment"
    return found


def _add(index: Any, segments: Sequence[Segment], first_row: int) -> None:
    """Rows from `first_row` on, in equal blocks whose number is a power of two.

    The lists that they go into double when they are full, so that the last doubling is exactly as large as is needed.
    """
    for segment in from_row(segments, first_row):
        vectors = segment.vectors
        blocks = 1
        while vectors.nbytes / blocks > BLOCK_BYTES:
            blocks *= 2
        for _, block in in_blocks(vectors, rows_at_once=-(-len(vectors) // blocks)):
            index.add(block)


def _write(faiss: Any, index: Any, path: Path) -> None:
    faiss.write_index(index, str(path))
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
