"""k-means in torch, on any device, with the same result whenever it is run again.

Sums are taken of whole numbers, which come out the same in whatever order a GPU adds them up.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

Nearest = Callable[[Tensor, Tensor], Tensor]

_AT_ONCE = 2**26  # distances held at a time: 256 MB
_ROWS_AT_ONCE = 2**16
_ONE = 2.0**32  # of the whole numbers that stand for fractions


@dataclass(frozen=True)
class Clustering:
    """centroids: (k, D); of: (n,), int64, each row's cluster; distances: (n,), of each row to its centroid."""

    centroids: Tensor
    of: Tensor
    distances: Tensor


def nearest(rows: Tensor, centroids: Tensor) -> Tensor:
    """(n,) for each row (n, D) the nearest of the centroids (k, D)."""
    half = centroids.square().sum(dim=1) / 2
    parts = rows.split(max(1, _AT_ONCE // len(centroids)))
    return torch.cat([torch.addmm(half, part, centroids.T, alpha=-1).argmin(dim=1) for part in parts])


def kmeans(rows: Tensor, starts: Iterable[Tensor], *, rounds: int, nearest: Nearest = nearest) -> Clustering:
    """Rows (n, D), none longer than one, sorted by their nearest centroid so that they lie close to it.

    Args:
        starts: for each try the k rows, int64, that are the first centroids; the try with the least sum of squared
            distances is taken.
        rounds: at most so many times do the centroids move.
        nearest: as the function of this name, which several processes may share out.

    A centroid that is nearest to nothing moves to the row farthest from its own. Source: Lloyd 1982.
    """
    tries = (_one_try(rows, rows[start.to(rows.device)], rounds, nearest) for start in starts)
    return min(tries, key=lambda found: float(found.distances.square().sum()))


def concentration(found: Clustering) -> Tensor:
    """(k,) how loose each cluster is, mean 1: a cluster's mean distance / log(rows in it + 10).

    A cluster of one row or none counts as the loosest; the loosest and the tightest tenth as what bounds them. Never
    below 0.01 (the published code may divide by zero where rows are equal).

    Source: Li et al. 2021 (PCL); salesforce/PCL, main_pcl.py.
    """
    count = len(found.centroids)
    sizes = torch.bincount(found.of, minlength=count)
    means = _sums(found.distances[:, None], found.of, count)[:, 0] / sizes.clamp(min=1)
    loose = means / (sizes + 10).log()
    several = sizes > 1
    loose = torch.where(several, loose, torch.where(several, loose, 0).max())
    loose = loose.clamp(*loose.quantile(loose.new_tensor([0.1, 0.9])).unbind())
    if not loose.any():
        return torch.ones_like(loose)
    return (loose / loose.mean()).clamp(min=0.01)


def _one_try(rows: Tensor, centroids: Tensor, rounds: int, nearest: Nearest) -> Clustering:
    of = nearest(rows, centroids)
    for _ in range(rounds):
        centroids = _moved(rows, centroids, of)
        before, of = of, nearest(rows, centroids)
        if torch.equal(before, of):
            break
    return Clustering(centroids, of, _distances(rows, centroids, of))


def _moved(rows: Tensor, centroids: Tensor, of: Tensor) -> Tensor:
    """Every centroid at the mean of its rows."""
    sizes = torch.bincount(of, minlength=len(centroids))
    means = _sums(rows, of, len(centroids)) / sizes.clamp(min=1)[:, None]
    empty = (sizes == 0).nonzero()[:, 0]
    if len(empty):
        farthest = _distances(rows, centroids, of).argsort(descending=True, stable=True)
        means[empty] = rows[farthest[: len(empty)]]
    return means


def _distances(rows: Tensor, centroids: Tensor, of: Tensor) -> Tensor:
    parts = zip(rows.split(_ROWS_AT_ONCE), of.split(_ROWS_AT_ONCE), strict=True)
    return torch.cat([(part - centroids[own]).norm(dim=1) for part, own in parts])


def _sums(rows: Tensor, of: Tensor, count: int) -> Tensor:
    """(count, D) sums of the rows (n, D) of each cluster; what is below 2**-32 of a number is rounded."""
    sums = torch.zeros(count, rows.shape[1], dtype=torch.int64, device=rows.device)
    for part, own in zip(rows.split(_ROWS_AT_ONCE), of.split(_ROWS_AT_ONCE), strict=True):
        sums.index_add_(0, own, (part * _ONE).round().long())
    return sums.float() / _ONE
