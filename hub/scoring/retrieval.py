"""How well queries find the images of their class in a gallery: average precision, and precision among the first k."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def rank_gallery(
    queries: Tensor,
    query_labels: Tensor,
    gallery: Tensor,
    gallery_labels: Tensor,
    *,
    at: Sequence[int],
    query_rows: int = 256,
) -> tuple[Tensor, dict[int, Tensor]]:
    """Ranks the whole gallery for each query, by cosine.

    Args:
        queries: (N, D), any length.
        query_labels: (N,) int64.
        gallery: (M, D), any length.
        gallery_labels: (M,) int64.
        at: each 1 to M.
        query_rows: queries that are ranked at a time.

    Returns:
        (N,) average precisions, 0-1, and for each k in `at` the (N,) shares of the query's class among the first k. A
        query whose class the gallery lacks scores 0.
    """
    bank = F.normalize(gallery, dim=1)
    places = torch.arange(1, len(bank) + 1, device=bank.device)
    precisions, first = [], []
    for vectors, labels in zip(queries.split(query_rows), query_labels.split(query_rows)):
        order = (F.normalize(vectors, dim=1) @ bank.T).argsort(dim=1, descending=True, stable=True)
        relevant = gallery_labels[order] == labels[:, None]
        precision = relevant.cumsum(dim=1) / places
        precisions.append((precision * relevant).sum(dim=1) / relevant.sum(dim=1).clamp_min(1))
        first.append(torch.stack([precision[:, k - 1] for k in at], dim=1) if at else precision[:, :0])
    columns = torch.cat(first)
    return torch.cat(precisions), {k: columns[:, place] for place, k in enumerate(at)}
