import math
from dataclasses import replace

import pytest
import torch

from goodviews.pretrain.analysis import trainer
from goodviews.pretrain.analysis.sweeps import SWEEPS, Frame, strong_views
from goodviews.pretrain.analysis.trainer import Batches, Diverged, Training, train_pair
from goodviews.pretrain.models.losses import pair_contrast

TINY = Training(steps=2, batch_size=12, width=4, dim=8)


def test_equal_rows_contrast_at_chance():
    same = torch.ones(5, 3) / 3**0.5
    torch.testing.assert_close(pair_contrast(same, same, temperature=0.2), torch.tensor(math.log(5)))


def test_an_epoch_shows_every_photo_once_and_another_order_each_time():
    batches = Batches(24, 8, seed=0)
    first, second = (torch.cat([batches.rows(step) for step in range(start, start + 3)]) for start in (0, 3))
    assert torch.equal(first.sort().values, torch.arange(24))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("name", SWEEPS)
def test_every_point_of_every_sweep_trains_for_two_steps(name, split):
    sweep = SWEEPS[name](Frame(16, 16, TINY))
    points = sweep.points if name != "compositions" else sweep.points[::4]
    for point in points:
        setting = replace(point.training, steps=2, batch_size=min(12, point.training.batch_size))
        trained = train_pair(point.pairs, split.train, setting, seed=0)
        assert math.isfinite(trained.loss)
    assert len({point.name for point in sweep.points}) == len(sweep.points)


def test_equal_seeds_give_equal_weights_and_others_do_not(split):
    pairs = SWEEPS["ladder"](Frame(16, 16, TINY)).points[2].pairs
    one, same, other = (train_pair(pairs, split.train, TINY, seed=seed).network.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_match_teaches_the_strong_view_and_not_the_weak_one(split):
    embeddings = [torch.nn.functional.normalize(torch.randn(6, 4), dim=1).requires_grad_() for _ in range(3)]
    trainer.LOSSES["match"](embeddings, 0.2).backward()
    alone = [row.detach().clone().requires_grad_() for row in embeddings]
    (trainer.LOSSES["contrast"](alone, 0.2) / 2).backward()
    torch.testing.assert_close(embeddings[0].grad, alone[0].grad)
    assert float(embeddings[2].grad.abs().sum()) > 0


def test_a_loss_that_is_nan_stops_the_training_with_a_sentence(split):
    with pytest.raises(Diverged, match="became nan at step 1 of 2"):
        train_pair(strong_views(16, 2), split.train, replace(TINY, loss="match", temperature=float("nan")), seed=0)
