"""Signs that a run has collapsed: all images get one embedding, or embeddings that differ along a few directions only.

The figures are of the trained network's last embeddings (a classifier's features), of this process, once a line of
metrics. A small batch bounds them too: no more directions than images.
"""

import logging
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

log = logging.getLogger(__name__)

COLLAPSED_STD, COLLAPSED_RANK = 0.05, 1.5  # an untrained ResNet has some 0.1 to 0.3, a trained one 0.9 and more
JUDGED_FROM = 16  # images: fewer differ along few directions whatever they are given
LINES = 3  # so many in a row are no accident


class CollapseWatch:
    """Looks at a head's embeddings of the images, and warns once when they have collapsed.

    Args:
        head: the trained network's; its output, (N, D), is looked at whenever it is called in training.
        classifies: look at the head's input instead: logits of few classes lie along few directions by right.
        queue: keys in the queue, 0 without one; batch_size: how many are replaced at a step.
    """

    def __init__(self, head: nn.Module, *, classifies: bool = False, queue: int = 0, batch_size: int = 1):
        self.classifies, self.queue, self.batch_size = classifies, queue, batch_size
        self._last: Tensor | None = None
        self._in_a_row = 0
        head.register_forward_hook(self._look)

    def __call__(self, step: int, epoch: float) -> dict[str, float]:
        """The figures of the step just done.

        feature_std: standard deviation of unit embeddings over images, mean over dimensions, times sqrt(D): 1 when
            they are spread evenly over the sphere, 0 when all are one.
        effective_rank: along how many directions they differ: exp of the entropy of the covariance's spectrum.
        queue_age: steps since the oldest key was made, of methods with a queue.
        """
        figures: dict[str, float] = {}
        if self._last is not None and len(self._last) > 1:
            figures |= spread(self._last)
            if figures and len(self._last) >= JUDGED_FROM:
                self._judge(step, epoch, figures)
        if self.queue:
            figures["queue_age"] = min(step, math.ceil(self.queue / self.batch_size))
        return figures

    def _look(self, head: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if head.training and torch.is_grad_enabled():
            self._last = (inputs[0] if self.classifies else output).detach()

    def _judge(self, step: int, epoch: float, figures: dict[str, float]) -> None:
        is_collapsed = figures["feature_std"] < COLLAPSED_STD or figures["effective_rank"] < COLLAPSED_RANK
        self._in_a_row = self._in_a_row + 1 if is_collapsed and epoch >= 1 else 0
        if self._in_a_row == LINES:
            log.warning(
                "the run has collapsed by step %d: all images get nearly the same embedding (standard deviation %.3f "
                "of what evenly spread ones have, %.1f effective directions). A lower optimizer.lr, a larger batch or "
                "another seed may help; what is learned from here on is of little use",
                step,
                figures["feature_std"],
                figures["effective_rank"],
            )


def spread(embeddings: Tensor) -> dict[str, float]:
    """feature_std and effective_rank (see CollapseWatch) of (N, D) rows; nothing where one is NaN or infinite.

    Source: Chen & He 2021 (arXiv:2011.10566), section 4.1, for the deviation; Roy & Vetterli 2007 ("The effective
    rank") for the rank, here of the covariance.
    """
    if not embeddings.isfinite().all():
        return {}
    rows = F.normalize(embeddings.double(), dim=1)
    rows = rows - rows.mean(dim=0)
    std = rows.square().mean(dim=0).sqrt().mean() * math.sqrt(rows.shape[1])
    gram = rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows  # the same spectrum but for zeros
    spectrum = torch.linalg.eigvalsh(gram).clamp(min=0)
    total = spectrum.sum()
    if total <= 1e-12 * len(rows):
        return {"feature_std": round(float(std), 6), "effective_rank": 0.0}
    shares = spectrum / total
    entropy = -(shares * shares.clamp(min=1e-30).log()).sum()
    return {"feature_std": round(float(std), 6), "effective_rank": round(float(entropy.exp()), 3)}
