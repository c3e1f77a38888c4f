"""faiss indexes for many vectors: the right kind, a recall that is measured, and the traps they are known for."""

from pathlib import Path

import faiss
import numpy as np
import pytest

from goodviews.export.index import load
from goodviews.export.index import upkeep as upkeep_module
from goodviews.export.index.about import About
from goodviews.export.index.change import Entry, changing, filling
from goodviews.export.nearest import kinds
from goodviews.export.nearest.approximate import Settings, build_index, open_index
from goodviews.export.nearest.exact import nearest_rows
from goodviews.export.nearest.kinds import check_kind, choose_kind
from goodviews.export.nearest.measure import share_found, tune, without
from goodviews.export.nearest.segments import Segment
from goodviews.hub import UsageError, open_encoder

ROWS, FEATURES = 4000, 64
PLENTY = 1 << 40


def vectors_like_an_encoders(count: int = ROWS, features: int = FEATURES, seed: int = 0) -> np.ndarray:
    """Unit rows of some clusters, with the large common part that embeddings behind a ReLU have."""
    draw = np.random.default_rng(seed)
    centres, spread = draw.normal(size=(40, 12)), draw.normal(size=(12, features))
    rows = (centres[draw.integers(0, 40, count)] + 0.4 * draw.normal(size=(count, 12))) @ spread
    rows += 0.2 * draw.normal(size=(count, features)) + 12
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def segments() -> list[Segment]:
    rows = vectors_like_an_encoders()
    return [Segment(0, rows[:3000], np.arange(3000)), Segment(3000, rows[3000:], np.arange(3000, ROWS))]


def rows_of(segments: list[Segment]) -> np.ndarray:
    return np.concatenate([segment.vectors for segment in segments])


@pytest.mark.parametrize(
    ("count", "dimension", "kind"),
    [
        (24_000, 2048, "Flat"),
        (390_000, 128, "Flat"),
        (1_000_000, 128, "IVF4096,Flat"),
        (1_000_000, 2048, "PCA128,IVF4096,SQ8,Refine(SQfp16)"),
        (100_000_000, 2048, "PCA128,IVF32768,SQ8"),
        (30_000, 2048, "PCA128,IVF512,SQ8,Refine(SQfp16)"),
    ],
)
def test_number_dimension_and_memory_choose_the_kind(count: int, dimension: int, kind: str):
    assert choose_kind(count, dimension, free_bytes=16 << 30) == kind


@pytest.mark.parametrize("kind", ["IDMap2,IVF16,Flat", "IDMap,Flat", "IVF16,Nonsense", "PQ7"])
def test_kinds_that_lose_ids_or_do_not_exist_are_refused(kind: str):
    with pytest.raises(UsageError, match="--index"):
        check_kind(kind, FEATURES)


def test_pca_with_inner_products_loses_the_neighbours_and_ours_does_not(segments: list[Segment], tmp_path: Path):
    kind, rows = "PCA16,IVF16,SQ8", rows_of(segments)
    queries = vectors_like_an_encoders(100, seed=1)
    exact, right = nearest_rows(queries, segments, 10)
    theirs = faiss.index_factory(FEATURES, kind, faiss.METRIC_INNER_PRODUCT)
    theirs.train(rows)
    theirs.add(rows)
    faiss.extract_index_ivf(theirs).nprobe = 16
    _, found = theirs.search(queries, 10)
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(right, found)]) < 0.5
    build_index(kind, segments, tmp_path / "a.faiss")
    ours, _ = open_index(tmp_path / "a.faiss", kind, ROWS, FEATURES).search(queries, segments, 10, settings=Settings(8))
    assert share_found(exact, ours) > 0.99


@pytest.mark.parametrize("kind", ["IVF64,Flat", "PCA32,IVF64,SQ8,Refine(SQfp16)", "PCA32,IVF64,SQ8", "HNSW16", "SQ8"])
def test_similarities_are_exact_and_removed_rows_are_never_found(segments: list[Segment], kind: str, tmp_path: Path):
    build_index(kind, segments, tmp_path / "a.faiss")
    index = open_index(tmp_path / "a.faiss", kind, ROWS, FEATURES)
    dead = np.zeros(ROWS, bool)
    dead[::3] = True
    queries = rows_of(segments)[:50]
    similarities, rows = index.search(queries, segments, 10, settings=Settings(8), allowed=~dead)
    assert not dead[rows].any()
    np.testing.assert_allclose(similarities, (rows_of(segments)[rows] * queries[:, None]).sum(axis=2), atol=1e-5)
    exact, _ = nearest_rows(queries, segments, 10, ~dead)
    assert share_found(exact, similarities) > 0.97


def test_more_neighbours_than_the_cells_hold_are_found_all_the_same(segments: list[Segment], tmp_path: Path):
    build_index("IVF64,Flat", segments, tmp_path / "a.faiss")
    index = open_index(tmp_path / "a.faiss", "IVF64,Flat", ROWS, FEATURES)
    few = np.zeros(ROWS, bool)
    few[[5, 1500, 3999]] = True
    _, rows = index.search(rows_of(segments)[:2], segments, 3, settings=Settings(0), allowed=few)
    assert [sorted(row) for row in rows.tolist()] == [[5, 1500, 3999]] * 2
    _, rows = index.search(rows_of(segments)[:1], segments, ROWS, settings=Settings(0))
    assert sorted(rows[0].tolist()) == list(range(ROWS))


def test_effort_is_raised_until_enough_is_found(tmp_path: Path):
    rows = np.random.default_rng(0).normal(size=(6000, 32)).astype(np.float32)  # no clusters: hard for cells
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    segments = [Segment(0, rows, np.arange(6000))]
    build_index("IVF128,Flat", segments, tmp_path / "a.faiss")
    index = open_index(tmp_path / "a.faiss", "IVF128,Flat", 6000, 32)
    measured = tune(index, segments, None)
    assert measured.recall >= 0.99
    assert measured.effort > 0
    assert tune(index, segments, None, wanted=0.05).effort == 0


def test_a_query_is_left_out_of_its_own_neighbours_and_ties_count_alike():
    similarities, rows = np.array([[1.0, 0.9, 0.8], [1.0, 0.7, 0.6]]), np.array([[7, 1, 2], [4, 5, 6]])
    kept, others = without(np.array([7, 9]), similarities, rows)
    assert others.tolist() == [[1, 2], [4, 5]]
    assert kept.tolist() == [[0.9, 0.8], [1.0, 0.7]]
    assert share_found(np.array([[0.9, 0.8]]), np.array([[0.9, 0.8 - 1e-8]])) == 1
    assert share_found(np.array([[0.9, 0.8]]), np.array([[0.9, 0.7]])) == 0.5


def test_a_large_index_is_built_extended_and_renewed_as_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kinds, "FLAT_NUMBERS", 100_000)
    monkeypatch.setattr(upkeep_module, "LATE_NUMBERS", 60_000)
    identity = open_encoder("random:resnet18-w0.25-32px").id
    dimension = identity.dimension or 0
    rows = vectors_like_an_encoders(3000, dimension)
    folder = tmp_path / "index"
    folder.mkdir()

    def entries(first: int, count: int) -> list[Entry]:
        return [Entry(1, f"{number}.jpg") for number in range(first, first + count)]

    with filling(folder, About(identity, None, "torch", tmp_path), kind="PCA32,IVF16,SQ8,Refine(SQfp16)") as change:
        change.insert(entries(0, 1000), rows[:1000])
    index = load(folder)
    first = index._state.nearest
    assert first is not None
    assert first.measured.recall >= 0.99
    assert "recall@10" in index.describe_search()
    with changing(folder) as change:
        change.insert(entries(1000, 100), rows[1000:1100])
    index.reload()
    assert index._state.nearest == first  # few are compared one by one
    assert index.search(rows[1050:1051], 1, encoder=identity)[0][0].item.id == 1050
    with changing(folder) as change:
        change.insert(entries(1100, 900), rows[1100:2000])
    index.reload()
    extended = index._state.nearest
    assert extended is not None
    assert (extended.rows, extended.trained_rows) == (2000, 1000)
    with changing(folder) as change:
        change.insert(entries(2000, 1000), rows[2000:])
        change.remove(range(0, 1000, 2))
    index.reload()
    renewed = index._state.nearest
    assert renewed is not None
    assert renewed.trained_rows == 3000
    assert len(list(folder.glob("*.faiss"))) == 1
    found = index.search(rows[1:2000:2], 1, encoder=identity)
    assert np.mean([match[0].item.id == key for match, key in zip(found, range(1, 2000, 2))]) > 0.99
    assert all(
        match.item.id % 2 or match.item.id >= 1000
        for row in index.search(rows[:50], 10, encoder=identity)
        for match in row
    )
    with changing(folder) as change:
        change.remove([item.id for item in index.items if item.id > 200])
    index.reload()
    assert len(index.search(rows[1:2], 5, encoder=identity)[0]) == 5
    assert index.removed == 0


def test_near_duplicates_of_a_large_index_are_those_of_an_exact_one(tmp_path: Path):
    identity = open_encoder("random:resnet18-w0.25-32px").id
    rows = vectors_like_an_encoders(1500, identity.dimension or 0)
    rows[[10, 700]] = rows[3]
    rows[1400] = rows[20]
    found = []
    for kind in ("Flat", "IVF16,Flat"):
        folder = tmp_path / kind
        folder.mkdir()
        with filling(folder, About(identity, None, "torch", tmp_path), kind=kind) as change:
            change.insert([Entry(1, f"{number}.jpg") for number in range(1500)], rows)
        found.append(load(folder).duplicate_groups(0.99999))
    assert found == [[[3, 10, 700], [20, 1400]]] * 2
