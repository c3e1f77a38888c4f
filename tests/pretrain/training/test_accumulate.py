"""A batch in parts, and how much memory a step keeps: neither may change what is learned."""

import json
import logging
import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from goodviews.hub.errors import UsageError
from goodviews.pretrain.models.ema import KeyNetwork
from goodviews.pretrain.models.queue import QueueRows
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipe import Recipe
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training import checkpoint, loop
from goodviews.pretrain.training.activations import count_activations

pytestmark = pytest.mark.precision


@pytest.fixture(scope="module")
def without_batch_norm() -> Recipe:
    """So that nothing but the place of the work can differ; 2 steps an epoch."""
    recipe = choose("moco_v2_smoke")
    return replace(recipe, architecture="test_nfnet", batch_size=8, epochs=2, slow=KeyNetwork(group=2))


def metrics(run) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def state(run) -> dict:
    return torch.load(run / "state" / checkpoint.FILE, weights_only=True)


def test_batch_in_parts_teaches_what_the_whole_batch_does(without_batch_norm, images, tmp_path):
    for parts in (1, 4):
        options = {"knn_every": 0, "accumulate": parts, "precision": "fp32"}
        loop.pretrain(without_batch_norm, images, tmp_path / f"{parts}", Options(**options))
    whole, in_parts = metrics(tmp_path / "1"), metrics(tmp_path / "4")
    assert [line["step"] for line in in_parts] == [1, 2, 3, 4]
    for ours, theirs in zip(in_parts, whole, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
        assert ours["lr"] == theirs["lr"]
    ours, theirs = state(tmp_path / "4"), state(tmp_path / "1")
    assert ours["memory"]["pointer"] == theirs["memory"]["pointer"] == 4 * 8 % 10
    torch.testing.assert_close(ours["memory"]["rows"], theirs["memory"]["rows"], rtol=1e-3, atol=1e-4)
    for name, weight in theirs["query"].items():
        torch.testing.assert_close(ours["query"][name], weight, rtol=1e-3, atol=1e-4)


def test_every_part_meets_the_queue_as_it_was_before_the_step(without_batch_norm, images, tmp_path, monkeypatch):
    met, objective = [], type(without_batch_norm.objective)
    honest = objective.__call__

    def noting(self, networks, known, views, orders):
        met.append(known[QueueRows].rows.clone())
        return honest(self, networks, known, views, orders)

    monkeypatch.setattr(objective, "__call__", noting)
    loop.pretrain(replace(without_batch_norm, epochs=1), images, tmp_path / "run", Options(knn_every=0, accumulate=2))
    assert len(met) == 4
    assert torch.equal(met[0], met[1])
    assert torch.equal(met[2], met[3])
    assert not torch.equal(met[1], met[2])


def test_run_in_parts_continues_bit_for_bit(smoke, images, tmp_path, monkeypatch):
    recipe, options = replace(smoke, batch_size=8), {"knn_every": 0, "accumulate": 2}
    loop.pretrain(recipe, images, tmp_path / "whole", Options(**options))
    step = loop._step

    def step_or_stop(run, batches):
        if run.state.step == 3:
            raise KeyboardInterrupt
        return step(run, batches)

    monkeypatch.setattr(loop, "_step", step_or_stop)
    with pytest.raises(KeyboardInterrupt):
        loop.pretrain(recipe, images, tmp_path / "broken", Options(save_every=3, **options))
    monkeypatch.undo()
    with pytest.raises(UsageError, match=r"was started with accumulate 2, not 1"):
        loop.pretrain(recipe, images, tmp_path / "broken", Options(resume=True))
    loop.pretrain(recipe, images, tmp_path / "broken", Options(resume=True, **options))
    weights = [(tmp_path / run / "encoder" / "model.safetensors").read_bytes() for run in ("whole", "broken")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("parts", [0, 3, 4])
def test_batch_that_cannot_be_cut_so_is_refused(parts, smoke, images, tmp_path):
    with pytest.raises(UsageError, match=f"--accumulate {parts} cannot cut a batch of 4 images"):
        loop.pretrain(smoke, images, tmp_path / "run", Options(accumulate=parts))
    assert not (tmp_path / "run").exists()


def test_bytes_saved_for_a_backward_pass_are_those_of_its_inputs_once():
    layer, rows = nn.Linear(10, 20), torch.ones(7, 10, requires_grad=True) * 1
    with count_activations() as saved:
        torch.relu(layer(rows)) + torch.relu(layer(rows))
    assert int(saved) == 4 * (7 * 10 + 2 * 7 * 20)


def test_run_says_how_much_memory_a_step_keeps(smoke, images, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    loop.pretrain(replace(smoke, epochs=1), images, tmp_path / "run", Options(knn_every=0))
    assert len(re.findall(r"a forward pass of 4 images keeps \d+\.\d MB of activations", caplog.text)) == 1


def test_loss_scaler_of_half_precision_is_saved_and_put_back(smoke, images, tmp_path, monkeypatch):
    """Half precision itself needs a GPU; its scaler's place in the checkpoint does not."""
    runs = []
    monkeypatch.setattr(loop, "_learn", lambda run, stop: runs.append(run))
    loop.pretrain(smoke, images, tmp_path / "run", Options(knn_every=0))
    before, after = (replace(runs[0].state, scaler=torch.amp.GradScaler("cpu", init_scale=8)) for _ in range(2))
    before.scaler.scale(torch.ones(1))
    before.scaler.update(2.0**11)
    checkpoint.save(before, {}, tmp_path / "state")
    checkpoint.load(after, tmp_path / "state")
    assert after.scaler.state_dict() == before.scaler.state_dict()
    assert after.scaler.get_scale() == 2.0**11
