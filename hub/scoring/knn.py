"""Weighted k-nearest-neighbour classification: no training, so the number shows the features alone.

Source: Wu et al. 2018 (arXiv:1805.01978), section 3.4: each of the k nearest training images votes for its class with
weight exp(cosine / T). Similarities are computed block by block and only the best k are kept, so memory does not grow
with the data.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

QUERY_ROWS = 1024
BANK_ROWS = 8_192  # a block of similarities is at most 1024 x 8192 float32, 32 MiB


def weighted_knn(
    query: Tensor, bank: Tensor, labels: Tensor, *, classes: int, settings: Sequence[tuple[int, float]]
) -> dict[tuple[int, float], Tensor]:
    """Class votes of the nearest neighbours, for several numbers and temperatures from one search.

    Args:
        query: (N, D), any length; rows are compared by cosine.
        bank: (M, D), the training features.
        labels: (M,) int64, the class of each row of `bank`.
        settings: pairs (k, T): how many neighbours vote, none more than M, and the temperature of their weights.

    Returns:
        For each pair an (N, classes) tensor of summed weights; a class without a neighbour has 0.
    """
    similarities, rows = nearest(query, bank, k=max(k for k, _ in settings))
    neighbours = labels.to(rows.device)[rows]
    return {
        (k, temperature): vote(similarities[:, :k], neighbours[:, :k], temperature=temperature, classes=classes)
        for k, temperature in settings
    }


def vote(similarities: Tensor, labels: Tensor, *, temperature: float, classes: int) -> Tensor:
    """(N, classes) votes of each row's neighbours; a class without one has 0.

    Args:
        similarities: (N, k) cosines, the best first.
        labels: (N, k) int64, the neighbours' classes.
    """
    behind = similarities - similarities[:, :1]  # the best: the order is the same, and no small temperature overflows
    weights = (behind / temperature).exp()
    return weights.new_zeros(len(weights), classes).scatter_add_(1, labels, weights)


def nearest(
    query: Tensor, bank: Tensor, *, k: int, query_rows: int = QUERY_ROWS, bank_rows: int = BANK_ROWS
) -> tuple[Tensor, Tensor]:
    """The k rows of `bank` most similar to each row of `query`, best first.

    Args:
        query: (N, D), any length.
        bank: (M, D), any length; k <= M.

    Returns:
        Cosine similarities (N, k) and row numbers of `bank` (N, k).
    """
    assert 1 <= k <= len(bank), f"k {k} of {len(bank)} rows"
    # Dividing similarities by the lengths, not the bank by them, spares a second copy of the bank.
    lengths = torch.linalg.vector_norm(bank, dim=1).clamp_min(1e-12)
    parts = [_nearest_of_few(F.normalize(few, dim=1), bank, lengths, k, bank_rows) for few in query.split(query_rows)]
    return torch.cat([similarity for similarity, _ in parts]), torch.cat([row for _, row in parts])


def _nearest_of_few(query: Tensor, bank: Tensor, lengths: Tensor, k: int, bank_rows: int) -> tuple[Tensor, Tensor]:
    best = query.new_empty(len(query), 0)
    rows = torch.empty(len(query), 0, dtype=torch.long, device=query.device)
    for start in range(0, len(bank), bank_rows):
        block = (query @ bank[start : start + bank_rows].T).div_(lengths[start : start + bank_rows])
        similarity, column = block.topk(min(k, block.shape[1]), dim=1)
        best, rows = torch.cat([best, similarity], dim=1), torch.cat([rows, column + start], dim=1)
        best, order = best.topk(min(k, best.shape[1]), dim=1)
        rows = rows.gather(1, order)
    return best, rows
