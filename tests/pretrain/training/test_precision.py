"""Which precision "auto" is, and that bf16 changes what is learned by no more than its 8 bits explain."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from goodviews.hub import machine
from goodviews.pretrain.models.ema import KeyNetwork
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipe import Recipe
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training import checkpoint, clustering, loop, precision
from goodviews.pretrain.training.build import build_trained_network

STEP = 2.0**-8  # from one bf16 number to the next, relative to it: 8 bits


@pytest.mark.precision
@pytest.mark.parametrize(("pretended", "chosen"), [("1", "bf16"), ("0", "fp32")])
def test_auto_is_bf16_where_the_hardware_multiplies_it(pretended, chosen, monkeypatch):
    monkeypatch.setenv(machine.PRETEND, pretended)
    assert precision.resolve_precision("auto", "cpu") == chosen
    assert precision.resolve_precision("fp32", "cpu") == "fp32"
    assert precision.resolve_precision("bf16", "cpu") == "bf16"


@pytest.mark.precision
@pytest.mark.parametrize(("instructions", "chosen"), [(["amx_bf16"], "bf16"), ([], "fp32")])
def test_the_processor_is_asked_when_nothing_is_pretended(instructions, chosen, monkeypatch):
    monkeypatch.delenv(machine.PRETEND, raising=False)
    monkeypatch.setattr(machine, "bf16_instructions", lambda: instructions)
    assert precision.resolve_precision("auto", "cpu") == chosen


@pytest.mark.precision
def test_auto_on_a_gpu_that_does_not_multiply_bf16_is_fp32_and_the_log_says_so(monkeypatch, caplog):
    """As on a V100 or T4, which emulate it."""
    caplog.set_level(logging.INFO)
    monkeypatch.delenv(machine.PRETEND, raising=False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert precision.resolve_precision("auto", "cuda") == "fp32"
    assert "precision auto is fp32; --precision fp16 is faster" in caplog.text
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    assert precision.resolve_precision("auto", "cuda") == "bf16"


def run(recipe: Recipe, images: Path, out: Path, **options) -> tuple[list[float], dict]:
    """The losses and the last checkpoint of a run."""
    loop.pretrain(recipe, images, out, Options(knn_every=0, **options))
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines], state(out)


def state(out: Path) -> dict:
    return torch.load(out / "state" / checkpoint.FILE, weights_only=True)


@pytest.mark.parametrize(
    ("name", "architecture"),
    [("infomin_smoke", "test_resnet"), ("simclr_smoke", "test_resnet"), ("moco_v2_smoke", "test_nfnet")],
)
def test_first_loss_in_bf16_is_off_by_what_8_bits_explain(name, architecture, images, tmp_path):
    """A cosine of two unit vectors by up to two steps, a logit by that over the temperature, the loss by two logits."""
    recipe = replace(choose(name), architecture=architecture, epochs=1)
    (full, *_), _ = run(recipe, images, tmp_path / "fp32", precision="fp32")
    (half, *_), _ = run(recipe, images, tmp_path / "bf16", precision="bf16")
    assert half != full
    assert half == pytest.approx(full, abs=4 * STEP / recipe.objective.temperature)


def test_batch_in_parts_in_bf16_teaches_what_the_whole_batch_does(images, tmp_path):
    """Without batch norm the parts' images are encoded as the whole's; only sums of gradients are rounded elsewhere."""
    recipe = replace(choose("moco_v2_smoke"), architecture="test_nfnet", batch_size=8, slow=KeyNetwork(group=2))
    before = {
        name: weight.detach()
        for name, weight in build_trained_network(recipe, 0, torch.device("cpu")).named_parameters()
    }
    (whole, *_), one = run(recipe, images, tmp_path / "1", precision="bf16")
    (parts, *_), four = run(recipe, images, tmp_path / "4", precision="bf16", accumulate=4)
    assert parts == pytest.approx(whole, abs=4 * STEP / recipe.objective.temperature)
    moved = torch.cat([(one["query"][name] - weight).flatten() for name, weight in before.items()])
    apart = torch.cat([(one["query"][name] - four["query"][name]).flatten() for name in before])
    assert apart.norm() < 16 * STEP * moved.norm()


def test_run_in_bf16_continues_bit_for_bit_and_keeps_float32_weights(smoke, images, tmp_path, monkeypatch):
    _, whole = run(smoke, images, tmp_path / "whole", precision="bf16")
    step = loop._step

    def step_or_die(run, batches):
        if run.state.step == 5:
            raise KeyboardInterrupt
        return step(run, batches)

    monkeypatch.setattr(loop, "_step", step_or_die)
    with pytest.raises(KeyboardInterrupt):
        loop.pretrain(smoke, images, tmp_path / "broken", Options(knn_every=0, save_every=3, precision="bf16"))
    monkeypatch.undo()
    _, broken = run(smoke, images, tmp_path / "broken", precision="bf16", resume=True)
    for part in ("query", "key"):
        assert all(torch.equal(weight, broken[part][name]) for name, weight in whole[part].items())
        assert {weight.dtype for weight in whole[part].values() if weight.is_floating_point()} == {torch.float32}
    assert torch.equal(whole["memory"]["rows"], broken["memory"]["rows"])
    torch.testing.assert_close(whole["memory"]["rows"].norm(dim=1), torch.ones(10))


def test_embeddings_to_cluster_in_bf16_are_off_by_its_8_bits(images, tmp_path, monkeypatch):
    plan = replace(choose("pcl_v1_smoke").prototypes, from_epoch=0)
    recipe = replace(choose("pcl_v1_smoke"), architecture="test_resnet", prototypes=plan, epochs=1)
    embed, rows = clustering.embed_images, []
    monkeypatch.setattr(clustering, "embed_images", lambda *given: rows.append(embed(*given)) or rows[-1])
    for each in ("fp32", "bf16"):
        run(recipe, images, tmp_path / each, precision=each)
    full, half = rows
    assert half.dtype == torch.float32
    assert 0 < (half - full).norm(dim=1).max() < 8 * STEP
