"""How many nats two views share: the lower bound I_NCE, on pairs that the networks did not learn from.

    I_NCE = log(K + 1) - loss

where loss is the cross-entropy of finding a view's partner among K + 1 candidates. It is a lower bound of the mutual
information and never exceeds its ceiling log(K + 1); near the ceiling it says only "at least so much". It depends on
the networks, so compare values of the same network and training, with other views.

Both directions are bounds; we give their mean (code of the learned views subtracts the sum of both, which is no bound).

Source: van den Oord et al. 2018 (arXiv:1807.03748), section 2.3; Poole et al. 2019 (arXiv:1905.06922).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor

from ...hub.errors import DataError

Critic = Callable[[Tensor, Tensor], Tensor]
"""(N, ...) first views, (N, ...) second views -> (N, N) scores, larger where they look like a pair."""

TEMPERATURES = (0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
_QUANTILE = float(stats.norm.ppf(0.975))


@dataclass(frozen=True)
class Bound:
    """I_NCE in nats with its 95 % interval.

    negatives: K, of which the ceiling follows.
    blocks: held-out blocks of K + 1 pairs, over all seeds.
    """

    nats: float
    low: float
    high: float
    negatives: int
    blocks: int
    seeds: int

    @property
    def ceiling(self) -> float:
        """The largest value that the bound can take."""
        return math.log(self.negatives + 1)


def cosine_critic(temperature: float) -> Critic:
    """Cosines over a temperature: the critic that contrastive learning trains."""
    return lambda first, second: F.normalize(first.float(), dim=1) @ F.normalize(second.float(), dim=1).T / temperature


def block_bounds(first: Tensor, second: Tensor, critic: Critic, *, negatives: int) -> Tensor:
    """I_NCE of each block of `negatives` + 1 consecutive pairs: (blocks,), float64, in nats; a rest is left out.

    Raises:
        DataError: there are fewer pairs than a block takes.
    """
    size = negatives + 1
    if len(first) < size:
        raise DataError(
            f"I_NCE with {negatives} negatives takes {size} held-out pairs, but there are {len(first)}; "
            "give more photos or ask for fewer negatives."
        )
    own = torch.arange(size, device=first.device)
    blocks = []
    for start in range(0, len(first) - size + 1, size):
        scores = critic(first[start : start + size], second[start : start + size]).double()
        loss = (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2
        blocks.append(math.log(size) - loss)
    return torch.stack(blocks)


def best_temperature(first: Tensor, second: Tensor, *, negatives: int) -> float:
    """The temperature at which cosines give the largest bound; choose it on other pairs than those it is used for."""
    found = [
        block_bounds(first, second, cosine_critic(temperature), negatives=negatives).mean()
        for temperature in TEMPERATURES
    ]
    return TEMPERATURES[int(torch.stack(found).argmax())]


def held_out_blocks(
    pairs: tuple[Tensor, Tensor], *, for_temperature: tuple[Tensor, Tensor], negatives: int
) -> list[float]:
    """I_NCE of embedded pairs, block by block, at the temperature that suits other pairs."""
    temperature = best_temperature(*for_temperature, negatives=negatives)
    return block_bounds(*pairs, cosine_critic(temperature), negatives=negatives).tolist()


def bound_of(seeds: Sequence[Sequence[float]], *, negatives: int) -> Bound:
    """The mean over seeds and its interval, by the normal approximation.

    Its variance is the larger one of what the blocks of a seed say and of what the means of the seeds say. With two
    seeds the second is itself a rough guess: look at both values too.

    Args:
        seeds: of each seed, I_NCE of its blocks.
    """
    means = torch.tensor([sum(blocks) / len(blocks) for blocks in seeds], dtype=torch.float64)
    within = torch.tensor([_variance_of_mean(blocks) for blocks in seeds], dtype=torch.float64).mean()
    between = means.var() if len(seeds) > 1 else within
    half = _QUANTILE * math.sqrt(float(torch.maximum(within, between)) / len(seeds))
    middle, count = float(means.mean()), sum(len(blocks) for blocks in seeds)
    return Bound(middle, middle - half, middle + half, negatives, count, len(seeds))


def _variance_of_mean(blocks: Sequence[float]) -> float:
    return float(torch.tensor(blocks, dtype=torch.float64).var()) / len(blocks) if len(blocks) > 1 else 0.0
