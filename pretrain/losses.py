"""Losses: functions of tensors, computed in float32 whatever precision the networks run in."""

import torch
import torch.nn.functional as F
from torch import Tensor


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
    logits = queue_logits(query, key, negatives, temperature=temperature)
    return F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long))


def queue_logits(query: Tensor, key: Tensor, negatives: Tensor, *, temperature: float) -> Tensor:
    """(N, 1 + K) similarities over temperature; the positive is column 0."""
    query, key, negatives = query.float(), key.detach().float(), negatives.detach().float()
    positive = (query * key).sum(dim=1, keepdim=True)
    return torch.cat([positive, query @ negatives.T], dim=1) / temperature


def shared_similarities(query: Tensor, keys: Tensor, negatives: Tensor) -> Tensor:
    """(N, B + K) similarities to the keys of the whole batch, then to the negatives, not yet over a temperature.

    All queries share the columns, so two views of one image can be compared column by column; the keys of the other
    images in the batch are further negatives. Keys (B, D) and negatives (K, D) are treated as constant.

    Source: maple-research-lab/CLSA, model/CLSA.py.
    """
    return query.float() @ torch.cat([keys.float(), negatives.float()]).detach().T


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
    anchors = anchors.float()
    same = anchors @ others.float().T
    itself = first + torch.arange(len(anchors), device=anchors.device)
    same = same.scatter(1, itself[:, None], -1e9)
    return torch.cat([anchors @ partners.float().T, same], dim=1)


@torch.no_grad()
def key_rank_accuracy(query: Tensor, key: Tensor, negatives: Tensor) -> Tensor:
    """Share of queries whose own key is nearer than every negative, 0-1: how easy the task is for the network."""
    query = query.detach().float()
    positive = (query * key.float()).sum(dim=1)
    return (positive > (query @ negatives.float().T).amax(dim=1)).float().mean()
