"""Losses: functions of tensors, computed in float32, or in float64 where that is given, never in half precision."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .full_precision import widen


def info_nce(query: Tensor, key: Tensor, negatives: Tensor, *, temperature: float) -> Tensor:
    """Cross-entropy of finding each query's own key among the negatives.

    Args:
        query: (N, D), unit rows; the gradient flows here.
        key: (N, D), unit rows; row i belongs to query i; treated as constant.
        negatives: (K, D), unit rows; treated as constant.
        temperature: what similarities are divided by.

    Returns:
        Scalar, mean over N, in nats. Chance is log(K + 1).

    Source: He et al. 2020 (arXiv:1911.05722), eq. 1.
    """
    return _first_of(queue_logits(query, key, negatives, temperature=temperature))


def info_nce_and_accuracy(
    query: Tensor, key: Tensor, negatives: Tensor, *, temperature: float
) -> tuple[Tensor, Tensor]:
    """`info_nce` and `key_rank_accuracy` from one product with the negatives."""
    similarities = _similarities(query, key, negatives)
    accuracy = _share_of_first(similarities.detach())
    return _first_of(similarities.div_(temperature)), accuracy


def queue_logits(query: Tensor, key: Tensor, negatives: Tensor, *, temperature: float) -> Tensor:
    """(N, 1 + K) similarities over temperature; the positive is column 0."""
    return _similarities(query, key, negatives).div_(temperature)


def _similarities(query: Tensor, key: Tensor, negatives: Tensor) -> Tensor:
    query = widen(query)
    key, negatives = key.detach().to(query.dtype), negatives.detach().to(query.dtype)
    positive = (query * key).sum(dim=1, keepdim=True)
    return torch.cat([positive, query @ negatives.T], dim=1)


def _first_of(logits: Tensor) -> Tensor:
    """Cross-entropy of choosing column 0."""
    return F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long))


def shared_similarities(query: Tensor, keys: Tensor, negatives: Tensor) -> Tensor:
    """(N, B + K) similarities to the keys of the whole batch, then to the negatives, not yet over a temperature.

    All queries share the columns, so two views of one image can be compared column by column; the keys of the other
    images in the batch are further negatives. Keys (B, D) and negatives (K, D) are treated as constant.

    Source: maple-research-lab/CLSA, model/CLSA.py.
    """
    query = widen(query)
    return query @ torch.cat([keys.to(query.dtype), negatives.to(query.dtype)]).detach().T


def distributional_match(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of a strong view's distribution over keys and queue relative to a weak view's: CLSA's "DDM".

    It is KL(target, strong) plus the entropy of the target, which is constant: the same gradient.

    Args:
        logits: (N, C) of the strong view, over its temperature; the gradient flows here.
        target: (N, C) probabilities of the weak view, the positive's column included; treated as constant. The mean of
            those of several weak views gives the mean of their losses, for the loss is linear in it.

    Returns:
        Scalar, mean over N, in nats. A strong view that sees no difference scores log(C).

    Source: Wang & Qi (arXiv:2104.07713); the authors' code takes the log of a softmax, log_softmax stays finite.
    """
    return F.cross_entropy(logits, target.detach())


def in_batch_similarities(anchors: Tensor, partners: Tensor, others: Tensor, *, first: int) -> Tensor:
    """(N, 2 B) similarities of one view's rows to the other view's of the whole batch, then to its own view's.

    The positive of row i is column `first` + i; a row's similarity to itself, B columns further, is put so low that it
    takes no part in a softmax (-1e9 and not minus infinity, which would make 0 * log 0 of a distribution's entry).

    Args:
        anchors: (N, D), unit rows of this process.
        partners: (B, D), unit rows: the other view of all images of all processes.
        others: (B, D), unit rows: the anchors' own view of them.
        first: where in these this process's rows begin.

    Source: google-research/simclr, objective.py.
    """
    anchors = widen(anchors)
    same = anchors @ others.to(anchors.dtype).T
    itself = first + torch.arange(len(anchors), device=anchors.device)
    same = same.scatter(1, itself[:, None], -1e9)
    return torch.cat([anchors @ partners.to(anchors.dtype).T, same], dim=1)


def pair_contrast(first: Tensor, second: Tensor, *, temperature: float) -> Tensor:
    """Cross-entropy of finding each row's partner among the other view's rows of the batch, mean of both directions.

    Args:
        first: (N, D), unit rows of one view; the gradient flows here.
        second: (N, D), unit rows of the other, row i of the same image as `first`'s; the gradient flows here too.

    Returns:
        Scalar, in nats. Chance is log(N).

    Source: van den Oord et al. 2018 (arXiv:1807.03748), eq. 4, both ways as in CMC.
    """
    logits = widen(first) @ widen(second).T / temperature
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def squared_distance(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over N of |p - t|^2 = 2 - 2 p t, for unit rows (N, D); the target is treated as constant.

    Source: Grill et al. 2020 (arXiv:2006.07733), eq. 2.
    """
    return (2 - 2 * (widen(prediction) * widen(target.detach())).sum(dim=1)).mean()


def bank_logits(rows: Tensor, bank: Tensor, places: Tensor, *, temperature: float) -> Tensor:
    """(N, 1 + K) similarities to the bank's rows at `places`, over temperature; the positive is column 0.

    Similarities to the whole bank are computed and the drawn ones taken out: less work and memory than gathering 65536
    rows for each image, unless the bank is far larger than that.

    Args:
        rows: (N, D), unit rows; the gradient flows here.
        bank: (n, D), unit rows; treated as constant.
        places: (N, 1 + K), rows of the bank, an image's own first.

    Source: HobbitLong/PyContrast, memory/mem_bank.py.
    """
    rows = widen(rows)
    return (rows @ bank.detach().to(rows.dtype).T).gather(1, places) / temperature


def proto_nce(query: Tensor, prototypes: Tensor, temperatures: Tensor, counts: Tensor, *, first: int) -> Tensor:
    """Cross-entropy of finding the prototype of each query's own cluster among others.

    Args:
        query: (N, D), unit rows; the gradient flows here.
        prototypes: (C, D), unit rows; query i belongs to row `first` + i; treated as constant.
        temperatures: (C,): what similarities to each prototype are divided by.
        counts: (C,), bool: which of the prototypes take part.

    Returns:
        Scalar, mean over N, in nats.

    Source: Li et al. 2021 (PCL); salesforce/PCL, pcl/builder.py.
    """
    query = widen(query)
    logits = (query @ prototypes.detach().to(query.dtype).T / temperatures).masked_fill(~counts, -torch.inf)
    return F.cross_entropy(logits, first + torch.arange(len(query), device=query.device))


@torch.no_grad()
def sinkhorn(scores: Tensor, *, epsilon: float, iterations: int) -> Tensor:
    """Soft assignments (n, P) of images to prototypes that use all prototypes alike; each row sums to 1.

    Prototypes and images are brought to equal shares in turn, prototypes first; images have the last word.

    Args:
        scores: (n, P), similarities of all images that are to be shared out.
        epsilon: the smaller, the harder the assignment.

    Source: Caron et al. 2020 (arXiv:2006.09882), section 3.1; facebookresearch/swav, main_swav.py.
    """
    shares = torch.exp((widen(scores) - scores.max()) / epsilon)
    shares /= shares.sum()
    for _ in range(iterations):
        shares /= shares.sum(dim=0, keepdim=True) * shares.shape[1]
        shares /= shares.sum(dim=1, keepdim=True) * shares.shape[0]
    return shares / shares.sum(dim=1, keepdim=True)


@torch.no_grad()
def key_rank_accuracy(query: Tensor, key: Tensor, negatives: Tensor) -> Tensor:
    """Share of queries whose own key is nearer than every negative, 0-1: how easy the task is for the network."""
    return _share_of_first(_similarities(query.detach(), key, negatives))


def _share_of_first(similarities: Tensor) -> Tensor:
    return (similarities[:, 0] > similarities[:, 1:].amax(dim=1)).float().mean()
