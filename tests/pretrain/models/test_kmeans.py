"""k-means on rows whose clusters are known, and how loose clusters are, by hand."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from goodviews.pretrain.models.across_processes import share_of
from goodviews.pretrain.models.kmeans import Clustering, concentration, kmeans, nearest


def blobs(each=20, spread=0.02, seed=0):
    """Rows around five directions, one direction after another, and which rows belong together."""
    draw = torch.Generator().manual_seed(seed)
    middles = torch.eye(5, 8).repeat_interleave(each, dim=0)
    return F.normalize(middles + spread * torch.randn(5 * each, 8, generator=draw), dim=1), torch.arange(
        5 * each
    ) // each


def starts(count, *, of, tries=5):
    return [torch.randperm(of, generator=torch.Generator().manual_seed(seed))[:count] for seed in range(tries)]


def test_separated_blobs_are_found():
    rows, truth = blobs()
    found = kmeans(rows, starts(5, of=100), rounds=20)
    pairs = set(zip(found.of.tolist(), truth.tolist(), strict=True))
    assert len(pairs) == 5
    means = torch.stack([rows[found.of == cluster].mean(dim=0) for cluster in range(5)])
    torch.testing.assert_close(found.centroids, means)
    torch.testing.assert_close(found.distances, (rows - means[found.of]).norm(dim=1))


def test_centroid_without_rows_moves_to_the_farthest_one():
    """Four of five first centroids lie in one blob, and one of those is there twice: a copy never gets a row."""
    rows, _ = blobs()
    rows[1] = rows[0]
    found = kmeans(rows, [torch.tensor([0, 1, 2, 3, 20])], rounds=20)
    assert sorted(found.of.unique().tolist()) == [0, 1, 2, 3, 4]


def test_best_of_the_tries_is_taken():
    rows, _ = blobs()
    good, bad = torch.tensor([0, 20, 40, 60, 80]), torch.tensor([0, 1, 2, 20, 21])
    alone = kmeans(rows, [bad], rounds=1)
    both = kmeans(rows, [bad, good, bad], rounds=1)
    assert both.distances.square().sum() < alone.distances.square().sum()
    assert torch.equal(both.of, kmeans(rows, [good], rounds=1).of)


def test_as_many_clusters_as_rows_and_equal_rows_are_no_trouble():
    same = F.normalize(torch.ones(6, 4), dim=1)
    found = kmeans(same, starts(6, of=6), rounds=3)
    assert torch.equal(found.distances, torch.zeros(6))
    assert torch.equal(concentration(found), torch.ones(6))


def test_rows_are_taken_in_parts_without_a_difference(monkeypatch):
    rows, _ = blobs()
    whole = kmeans(rows, starts(5, of=100), rounds=20)
    monkeypatch.setattr("goodviews.pretrain.models.kmeans._AT_ONCE", 35)
    monkeypatch.setattr("goodviews.pretrain.models.kmeans._ROWS_AT_ONCE", 9)
    parts = kmeans(rows, starts(5, of=100), rounds=20)
    assert torch.equal(whole.of, parts.of)
    assert torch.equal(whole.centroids, parts.centroids)  # sums of whole numbers: not a bit of difference


@pytest.mark.parametrize(("count", "world"), [(100, 3), (100, 1), (3, 8)])
def test_shares_gathered_rank_by_rank_begin_with_all_rows(count, world):
    shares = [share_of(count, rank, world) for rank in range(world)]
    assert len({len(share) for share in shares}) == 1
    assert torch.cat(shares)[:count].tolist() == list(range(count))


def test_processes_that_share_the_work_find_the_clusters_of_one():
    rows, _ = blobs()

    def together(rows, centroids):
        parts = [nearest(rows[share_of(len(rows), rank, 3)], centroids) for rank in range(3)]
        return torch.cat(parts)[: len(rows)]

    shared = kmeans(rows, starts(5, of=100), rounds=20, nearest=together)
    assert torch.equal(shared.centroids, kmeans(rows, starts(5, of=100), rounds=20).centroids)


def test_concentration_by_hand():
    """Clusters of 2, 3 and 1 rows: 0.3 / log 12, 0.5 / log 13, and the one row as the loosest."""
    of, distances = torch.tensor([0, 0, 1, 1, 1, 2]), torch.tensor([0.2, 0.4, 0.4, 0.5, 0.6, 0.0])
    tight, loose = 0.3 / math.log(12), 0.5 / math.log(13)
    tenth = tight + 0.2 * (loose - tight)  # a tenth of the way through three values
    bounded = np.array([tenth, loose, loose])
    expected = torch.tensor(bounded / bounded.mean()).float()
    torch.testing.assert_close(concentration(Clustering(torch.zeros(3, 2), of, distances)), expected)


def test_concentration_agrees_with_numpys_percentiles():
    draw = np.random.default_rng(0)
    of, distances = draw.integers(0, 40, 150), draw.random(150)
    values = np.zeros(40)
    for cluster in range(40):
        inside = distances[of == cluster]
        if len(inside) > 1:
            values[cluster] = inside.mean() / np.log(len(inside) + 10)
    for cluster in range(40):
        if (of == cluster).sum() <= 1:
            values[cluster] = values.max()
    values = values.clip(np.percentile(values, 10), np.percentile(values, 90))
    found = Clustering(torch.zeros(40, 2), torch.from_numpy(of), torch.from_numpy(distances).float())
    torch.testing.assert_close(concentration(found), torch.from_numpy(values / values.mean()).float())


def test_clusters_of_equal_rows_do_not_divide_by_zero():
    of = torch.arange(20) // 2
    distances = torch.zeros(20)
    distances[-2:] = 0.5
    found = concentration(Clustering(torch.zeros(10, 2), of, distances))
    assert found.min() == pytest.approx(0.01)
    assert found.isfinite().all()
