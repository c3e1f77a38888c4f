"""The figures that show a collapse, worked out by hand, and the sentence that says it once."""

import json
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from goodviews.hub.errors import MissingExtra
from goodviews.pretrain.options import Options
from goodviews.pretrain.training import loop
from goodviews.pretrain.training.collapse import LINES, CollapseWatch, spread


def test_embeddings_spread_evenly_have_deviation_one_and_the_full_rank():
    rows = torch.randn(4000, 16, generator=torch.Generator().manual_seed(0))
    figures = spread(rows)
    assert figures["feature_std"] == pytest.approx(1, abs=0.02)
    assert figures["effective_rank"] == pytest.approx(16, abs=0.2)


def test_one_embedding_for_all_has_none():
    assert spread(torch.ones(8, 16)) == {"feature_std": 0, "effective_rank": 0}


def test_two_opposite_embeddings_differ_along_one_direction():
    rows = torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]])
    assert spread(rows) == {"feature_std": pytest.approx(math.sqrt(4) / 4), "effective_rank": pytest.approx(1)}


def test_rank_is_the_same_from_either_side():
    rows = F.normalize(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)), dim=1)
    twice = torch.cat([rows, rows])
    wide = torch.cat([rows, torch.zeros(6, 6)], dim=1)
    assert spread(rows)["effective_rank"] == pytest.approx(spread(twice)["effective_rank"])
    assert spread(rows)["effective_rank"] == pytest.approx(spread(wide)["effective_rank"])


def test_embeddings_with_a_nan_have_no_spread():
    assert spread(torch.full((4, 4), float("nan"))) == {}


def lines(head: nn.Module, rows: torch.Tensor, *, epoch: float, count: int) -> list[dict]:
    watch = CollapseWatch(head, queue=10, batch_size=4)
    found = []
    for step in range(1, count + 1):
        head(rows)
        found.append(watch(step, epoch))
    return found


def test_lasting_collapse_is_warned_of_once(caplog):
    found = lines(nn.Identity(), torch.ones(16, 8), epoch=1.5, count=LINES + 3)
    assert caplog.text.count("has collapsed by step 3: all images get nearly the same embedding") == 1
    assert [line["queue_age"] for line in found] == [1, 2, 3, 3, 3, 3]


def test_first_epoch_and_embeddings_that_differ_are_no_collapse(caplog):
    lines(nn.Identity(), torch.ones(16, 8), epoch=0.9, count=5)
    lines(nn.Identity(), torch.eye(16), epoch=3, count=5)
    lines(nn.Identity(), torch.eye(2), epoch=3, count=5)  # two images differ along one direction at most
    assert caplog.text == ""


def test_forward_passes_that_do_not_train_are_not_looked_at():
    head = nn.Identity()
    watch = CollapseWatch(head)
    with torch.no_grad():
        head(torch.ones(4, 4))
    head.eval()(torch.ones(4, 4))
    assert watch(1, 2.0) == {}


def test_classifier_of_two_classes_is_judged_by_its_features(caplog):
    """Its logits lie along one direction when it has learned all there is to learn."""
    head = nn.Linear(8, 2, bias=False)
    with torch.no_grad():
        head.weight[1] = -head.weight[0]
    features = torch.randn(32, 8, generator=torch.Generator().manual_seed(0))
    logits, by_features = CollapseWatch(head), CollapseWatch(head, classifies=True)
    head(features)
    assert logits(1, 1.0)["effective_rank"] == pytest.approx(1)
    assert by_features(1, 1.0)["effective_rank"] == spread(features)["effective_rank"] > 4


@pytest.mark.precision
def test_run_writes_the_figures_to_metrics_and_to_tensorboard(images, smoke, tmp_path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    loop.pretrain(smoke, images, tmp_path / "run", Options(tensorboard=True))
    written = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in written if "loss" in line]
    assert [line["queue_age"] for line in steps] == [1, 2, 3, 3, 3, 3, 3, 3]
    assert all(0 < line["feature_std"] < 1.5 and 0 < line["effective_rank"] <= 4 for line in steps)
    events = event_accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    for name in ("loss", "feature_std", "lr", "images_per_s"):
        shown = [(event.step, event.value) for event in events.Scalars(name)]
        assert shown == [(line["step"], pytest.approx(line[name], rel=1e-6)) for line in steps]
    assert [event.step for event in events.Scalars("knn_top1")] == [0, 4, 8]


@pytest.mark.precision
def test_missing_tensorboard_is_named(images, smoke, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtra, match=r'--tensorboard needs tensorboard, .*: pip install "tensorboard'):
        loop.pretrain(smoke, images, tmp_path / "run", Options(tensorboard=True))
    assert not (tmp_path / "run").exists()
