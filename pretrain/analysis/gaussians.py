"""Correlated Gaussians, whose mutual information is known in closed form: what the estimate is checked against.

Source: Belghazi et al. 2018 (arXiv:1801.04062); Poole et al. 2019 (arXiv:1905.06922), section 4.1.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .mutual_information import Critic


def correlation_for(nats: float, dimensions: int) -> float:
    """The correlation of each pair of coordinates at which two vectors share so many nats."""
    return math.sqrt(1 - math.exp(-2 * nats / dimensions))


def draw_gaussians(nats: float, dimensions: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pairs (count, dimensions) of standard normal vectors whose mutual information is `nats`."""
    rho = correlation_for(nats, dimensions)
    first, noise = (torch.randn(count, dimensions, generator=generator) for _ in range(2))
    return first, rho * first + math.sqrt(1 - rho**2) * noise


def exact_critic(nats: float, dimensions: int) -> Critic:
    """log p(second | first) / p(second): the best critic there is."""
    rho = correlation_for(nats, dimensions)

    def scores(first: Tensor, second: Tensor) -> Tensor:
        distance = (second[None] - rho * first[:, None]).square().sum(dim=2)
        return (second.square().sum(dim=1)[None] - distance / (1 - rho**2)) / 2

    return scores


class SeparableCritic(nn.Module):
    """Scores as products of two networks' outputs: (N, D), (N, D) -> (N, N)."""

    def __init__(self, dimensions: int, *, hidden: int = 128, dim: int = 32):
        super().__init__()
        self.towers = nn.ModuleList(
            nn.Sequential(nn.Linear(dimensions, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
                          nn.Linear(hidden, dim))
            for _ in range(2)
        )  # fmt: skip

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        scores: Tensor = self.towers[0](first) @ self.towers[1](second).T
        return scores


def train_critic(
    nats: float, dimensions: int, *, batch_size: int, steps: int, seed: int, lr: float = 2e-3
) -> SeparableCritic:
    """A critic that learned from fresh pairs, as contrastive learning trains its networks."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        critic = SeparableCritic(dimensions)
    optimizer = torch.optim.Adam(critic.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    own = torch.arange(batch_size)
    for _ in range(steps):
        scores = critic(*draw_gaussians(nats, dimensions, batch_size, generator))
        loss = (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return critic.eval()
