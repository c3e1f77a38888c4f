import math

import pytest
import torch

from goodviews.hub.errors import DataError, UsageError
from goodviews.hub.images import SkippedImages
from goodviews.transfer.classification.features import Features, FrozenData
from goodviews.transfer.classification.few_shot import FewShot, _episodes, few_shot_5way_1shot, few_shot_5way_5shot
from goodviews.transfer.task import Setup


def frozen(vectors: torch.Tensor, classes: int) -> FrozenData:
    """The same vectors as train and test; classes follow each other."""
    part = Features(vectors, torch.arange(len(vectors)) % classes, ("",) * len(vectors))
    return FrozenData(part, tuple("abcdefgh"[:classes]), {"name": "made"}, SkippedImages(), train=part)


def test_features_that_tell_classes_apart_score_100_and_equal_ones_chance():
    apart = torch.eye(6).repeat(20, 1)
    assert set(_episodes(FewShot(shots=1, episodes=20), frozen(apart, 6), seed=0)) == {100.0}
    same = torch.ones(120, 6)
    assert set(_episodes(FewShot(shots=1, episodes=20), frozen(same, 6), seed=0)) == {20.0}


def test_noise_scores_chance_on_average():
    noise = torch.randn(240, 16, generator=torch.Generator().manual_seed(0))
    train, test = frozen(noise, 6), frozen(torch.randn(240, 16, generator=torch.Generator().manual_seed(1)), 6)
    mixed = FrozenData(test.test, train.classes, train.dataset, SkippedImages(), train=train.train)
    found = _episodes(FewShot(shots=5, episodes=200), mixed, seed=0)
    assert sum(found) / len(found) == pytest.approx(20, abs=3)


def test_interval_is_that_of_the_mean_over_episodes(encoder, colours, tmp_path):
    task = few_shot_5way_5shot().with_changes(["ways=3", "queries=3", "episodes=40"])
    report = task.run(encoder, colours, tmp_path / "run")
    half = 1.959964 * report.details["deviation_of_an_episode"] / math.sqrt(40)
    assert report.metrics["top1"] > 80
    assert report.metrics["top1"] - report.metrics["top1_low"] == pytest.approx(half)
    assert report.task.startswith("few-shot-5way-5shot [ways=3")


def test_seed_draws_other_episodes_and_equal_seeds_equal_ones(encoder, colours, tmp_path):
    task = few_shot_5way_1shot().with_changes(["ways=3", "queries=2", "episodes=10"])
    setups = {"a": 0, "b": 0, "c": 1}
    runs = {
        name: task.run(encoder, colours, tmp_path / name, setup=Setup(seed=seed, cache=tmp_path / "cache"))
        for name, seed in setups.items()
    }
    assert runs["a"].metrics == runs["b"].metrics
    hard = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    draws = [_episodes(FewShot(shots=1, episodes=5, queries=3), frozen(hard, 6), seed=seed) for seed in (0, 1)]
    assert draws[0] != draws[1]


def test_too_few_classes_and_settings_below_one_are_refused(encoder, colours, tmp_path):
    with pytest.raises(DataError, match="colours has 0 classes with 5 readable train and 15 test images"):
        few_shot_5way_5shot().run(encoder, colours, tmp_path / "run")
    with pytest.raises(UsageError, match="shots and queries of 1 or more"):
        few_shot_5way_5shot().with_changes(["shots=0"]).run(encoder, colours, tmp_path / "run")
    assert not (tmp_path / "run").exists()
