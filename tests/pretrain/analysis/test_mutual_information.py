import math

import pytest
import torch

from goodviews.hub.errors import DataError
from goodviews.pretrain.analysis.gaussians import correlation_for, draw_gaussians, exact_critic, train_critic
from goodviews.pretrain.analysis.mutual_information import (
    block_bounds,
    bound_of,
    cosine_critic,
    held_out_blocks,
)


def estimate(nats: float, critic, *, negatives: int, pairs: int = 4096) -> float:
    first, second = draw_gaussians(nats, 8, pairs, torch.Generator().manual_seed(7))
    return float(block_bounds(first, second, critic, negatives=negatives).mean())


def test_gaussians_correlate_as_their_mutual_information_asks():
    first, second = draw_gaussians(2.0, 8, 50_000, torch.Generator().manual_seed(0))
    found = float((first * second).mean())
    assert found == pytest.approx(correlation_for(2.0, 8), abs=0.01)
    assert -8 / 2 * math.log(1 - correlation_for(2.0, 8) ** 2) == pytest.approx(2.0)


@pytest.mark.parametrize("nats", [0.5, 1.0, 2.0, 3.0])
def test_the_best_critic_finds_gaussians_information_within_a_tenth_below_the_ceiling(nats):
    assert estimate(nats, exact_critic(nats, 8), negatives=511) == pytest.approx(nats, rel=0.1)


def test_a_critic_that_learned_finds_most_of_what_there_is_and_never_more():
    critic = train_critic(1.5, 8, batch_size=128, steps=250, seed=0)
    with torch.no_grad():
        found = estimate(1.5, critic, negatives=127, pairs=2048)
    assert 1.2 < found < 1.55


def test_the_bound_stays_below_its_ceiling_however_much_the_views_share():
    found = estimate(12.0, exact_critic(12.0, 8), negatives=15)
    assert math.log(16) - 0.1 < found <= math.log(16)


def test_equal_vectors_share_the_ceiling_and_unrelated_ones_nothing_that_is_sure():
    random = torch.Generator().manual_seed(0)
    first, other = torch.randn(64, 32, generator=random), torch.randn(64, 32, generator=random)
    assert float(block_bounds(first, first, cosine_critic(0.03), negatives=31).min()) == pytest.approx(
        math.log(32), abs=1e-3
    )
    assert max(held_out_blocks((first, other), for_temperature=(first, other), negatives=31)) < 0.1


def test_constant_scores_are_worth_zero_nats():
    same = torch.ones(8, 4)
    torch.testing.assert_close(
        block_bounds(same, same, cosine_critic(0.1), negatives=7), torch.zeros(1, dtype=torch.float64)
    )


def test_the_interval_widens_when_seeds_differ_more_than_blocks_do():
    close = bound_of([[1.0, 1.2, 1.1], [1.1, 1.0, 1.2]], negatives=9)
    apart = bound_of([[1.0, 1.2, 1.1], [2.1, 2.0, 2.2]], negatives=9)
    assert apart.high - apart.low > 3 * (close.high - close.low)
    assert close.ceiling == pytest.approx(math.log(10))
    assert (close.blocks, close.seeds) == (6, 2)


def test_too_few_pairs_for_the_negatives_are_refused():
    with pytest.raises(DataError, match="takes 33 held-out pairs, but there are 8"):
        block_bounds(torch.zeros(8, 2), torch.zeros(8, 2), cosine_critic(1.0), negatives=32)
