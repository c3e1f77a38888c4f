"""Linear support vector machines, one for each class, all fitted at once on whatever device the features are on.

The problem is that of LIBLINEAR as scikit-learn's LinearSVC sets it: |w|^2 / 2 + C * sum of weight * squared hinge, the
bias a weight of a constant feature and penalised like the others. It is smooth and convex, so L-BFGS solves it; classes
do not touch each other, and C and the weights may differ between them.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Literal["squared hinge", "logistic"]


@dataclass(frozen=True)
class LinearScores:
    """(N, F) features -> (N, C) scores; positive where the class is thought present."""

    weight: Tensor  # (C, F + 1), the bias last

    def __call__(self, vectors: Tensor) -> Tensor:
        return F.linear(vectors, self.weight[:, :-1], self.weight[:, -1])


def fit_classes(
    vectors: Tensor,
    signs: Tensor,
    weights: Tensor,
    c: Tensor,
    *,
    loss: Loss = "squared hinge",
    start: LinearScores | None = None,
    max_steps: int = 300,
) -> LinearScores:
    """A classifier for each class.

    Args:
        vectors: (N, F).
        signs: (N, C), 1 where the class is present and -1 where not.
        weights: (N, C), how much an image counts for a class; 0 leaves it out.
        c: (C,), the weight of the loss against that of the penalty.
        start: where to begin, e.g. the solution for a smaller C.
        max_steps: of L-BFGS.
    """
    inputs = torch.cat([vectors, vectors.new_ones(len(vectors), 1)], dim=1)
    begin = vectors.new_zeros(signs.shape[1], inputs.shape[1]) if start is None else start.weight
    weight = begin.clone().requires_grad_()
    shares = weights / weights.sum(dim=0).clamp_min(1e-12)
    # Each class's problem over C and its total weight: the same solution, and steps of like size for all.
    penalty = 1 / (c * weights.sum(dim=0)).clamp_min(1e-12)
    solver = torch.optim.LBFGS(
        [weight], max_iter=max_steps, tolerance_grad=1e-7, tolerance_change=1e-10, line_search_fn="strong_wolfe"
    )

    def objective() -> Tensor:
        solver.zero_grad()
        margins = signs * (inputs @ weight.T)
        losses = (1 - margins).clamp_min(0).square() if loss == "squared hinge" else F.softplus(-margins)
        value = (shares * losses).sum() + (penalty * weight.square().sum(dim=1)).sum() / 2
        value.backward()
        return value

    solver.step(objective)
    return LinearScores(weight.detach())
