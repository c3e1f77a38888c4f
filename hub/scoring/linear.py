"""Linear probe: multinomial logistic regression on frozen features, fitted to convergence.

The published ImageNet probes train one linear layer by SGD for 60-100 epochs with learning rates of 5 to 30 that are
tuned to one encoder's feature scale. On small folders that measures the tuning more than the features. So here the
features are computed once without augmentation, standardised, and the convex problem is solved by L-BFGS from zero,
as the ssl-transfer benchmark does (Ericsson et al. 2021, arXiv:2011.13377); the one free number, the L2 penalty, is
chosen on a held-out part of train, and the layer is then fitted again on all of train. Nothing depends on chance but
which images are held out, and the seed fixes that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import DataError


@dataclass(frozen=True)
class LinearLayer:
    """A classifier after its fit: (N, F) raw features -> (N, C) logits."""

    weight: Tensor  # (C, F), for standardised features
    bias: Tensor  # (C,)
    mean: Tensor  # (F,), of the training features
    scale: Tensor  # (F,)

    def __call__(self, vectors: Tensor) -> Tensor:
        return F.linear((vectors - self.mean) / self.scale, self.weight, self.bias)


def fit_probe(
    vectors: Tensor, labels: Tensor, *, classes: int, l2: Sequence[float], held_out: float, max_steps: int, seed: int
) -> tuple[LinearLayer, float]:
    """The layer fitted on all images with the penalty that did best on a held-out part of them.

    Args:
        vectors: (N, F) features, not normalised.
        labels: (N,) int64.
        l2: penalties to try; the loss is mean cross-entropy + l2 / 2 * |weight|^2.
        held_out: share of each class that is held out while the penalty is chosen.
        max_steps: L-BFGS steps for each fit; most stop earlier.

    Returns:
        The layer and the chosen penalty; of penalties that do equally well the strongest.

    Raises:
        DataError: no class has two images, so none can be held out.
    """
    out = held_out_rows(labels, held_out, seed)
    if not out.any():
        raise DataError(
            "A linear probe holds out part of train, but no class there has two readable images; add images."
        )
    strongest_first = sorted(l2, reverse=True)
    path = _fit_path(vectors[~out], labels[~out], classes, strongest_first, max_steps)
    right = [int((layer(vectors[out]).argmax(dim=1) == labels[out]).sum()) for layer in path]
    best = strongest_first[right.index(max(right))]
    return _fit_path(vectors, labels, classes, [best], max_steps)[0], best


def held_out_rows(labels: Tensor, share: float, seed: int) -> Tensor:
    """(N,) bool: `share` of every class, at least one image where a class has two."""
    generator = torch.Generator().manual_seed(seed)
    out = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.cpu().unique():
        rows = (labels.cpu() == label).nonzero()[:, 0]
        count = min(max(1, round(share * len(rows))), len(rows) - 1)
        out[rows[torch.randperm(len(rows), generator=generator)[:count]]] = True
    return out.to(labels.device)


def _fit_path(vectors: Tensor, labels: Tensor, classes: int, l2: Sequence[float], max_steps: int) -> list[LinearLayer]:
    """One layer for each penalty, each fit starting where the one before ended."""
    mean, deviation = vectors.mean(dim=0), vectors.std(dim=0, correction=0)
    # A constant feature tells nothing; dividing by its deviation of zero would make it noise.
    scale = torch.where(deviation > 1e-6 * deviation.max(), deviation, torch.full_like(deviation, torch.inf))
    inputs = (vectors - mean) / scale
    weight, bias = vectors.new_zeros(classes, vectors.shape[1]), vectors.new_zeros(classes)
    layers = []
    for penalty in l2:
        weight, bias = _minimise(inputs, labels, weight, bias, penalty, max_steps)
        layers.append(LinearLayer(weight, bias, mean, scale))
    return layers


def _minimise(
    inputs: Tensor, labels: Tensor, weight: Tensor, bias: Tensor, l2: float, max_steps: int
) -> tuple[Tensor, Tensor]:
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=max_steps, tolerance_grad=1e-5, tolerance_change=1e-9, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        solver.zero_grad()
        value = F.cross_entropy(F.linear(inputs, weight, bias), labels) + l2 / 2 * weight.square().sum()
        value.backward()
        return value

    solver.step(loss)
    return weight.detach(), bias.detach()
