"""What a step needs is known before it, and too little memory is answered with what would fit."""

import logging
import re
from dataclasses import replace

import pytest
import torch

from goodviews.hub.errors import GoodviewsError
from goodviews.pretrain.models import small_convolutions
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training import loop, memory_check
from goodviews.pretrain.training.memory_estimate import StepMemory, estimate_step

OPTIONS = Options(precision="fp32", knn_every=0)


def test_smallest_accumulate_is_the_first_divisor_of_the_batch_that_fits():
    step = StepMemory(images=12, activations=11_000, views=1000, state=1000)
    assert step.needed(1) == 13_000
    assert step.smallest_accumulate(20_000) == 1
    assert step.smallest_accumulate(8_000) == 2
    assert step.smallest_accumulate(8_000, above=2) == 3
    assert step.smallest_accumulate(2_500) is None  # 6 parts of 2 images take 3000


@pytest.mark.parametrize("name", ["infomin_smoke", "swav_smoke", "pirl_smoke"])
def test_estimate_is_what_the_first_step_keeps(name, images, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(small_convolutions, "LARGEST", 0)  # a GPU has no such detour
    caplog.set_level(logging.INFO)
    recipe = replace(choose(name), architecture="test_resnet", epochs=1)
    monkeypatch.setattr(loop, "_save", lambda run: None)
    loop.pretrain(recipe, images, tmp_path / "run", OPTIONS)
    (kept,) = re.findall(r"keeps (\d+\.\d) MB of activations", caplog.text)
    count = len([*images.glob("*/*.*")])
    assert estimate_step(recipe, "fp32", images=count).activations / 1e6 == pytest.approx(
        float(kept), rel=0.02, abs=0.06
    )


class Held:
    """The bytes that torch's allocator gave out in a block and that are still held at its end."""

    def __enter__(self) -> "Held":
        self.profile = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True)
        self.profile.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.profile.stop()

    def __int__(self) -> int:
        return sum(event.self_cpu_memory_usage for event in self.profile.key_averages())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_estimate_is_what_the_allocator_holds_for_the_backward_pass(precision, images, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(small_convolutions, "LARGEST", 0)
    monkeypatch.setattr(loop, "_save", lambda run: None)
    monkeypatch.setattr(loop, "count_activations", Held)
    caplog.set_level(logging.INFO)
    recipe = replace(choose("moco_v2_smoke"), architecture="test_resnet", batch_size=8, epochs=1)
    loop.pretrain(recipe, images, tmp_path / "run", replace(OPTIONS, precision=precision))
    (held,) = re.findall(r"keeps (\d+\.\d) MB of activations", caplog.text)
    count = len([*images.glob("*/*.*")])
    assert estimate_step(recipe, precision, images=count).activations / 1e6 == pytest.approx(float(held), rel=0.05)


def test_batch_of_half_precision_keeps_less():
    recipe = replace(choose("moco_v2_smoke"), architecture="test_resnet", batch_size=64)
    in_full, in_half = (estimate_step(recipe, precision, images=8).activations for precision in ("fp32", "bf16"))
    assert in_half < 0.75 * in_full


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), MemoryError()]
)
def test_memory_that_is_used_up_is_answered_with_what_fits(error, smoke, images, tmp_path, monkeypatch):
    def step(run, batches):
        raise error

    monkeypatch.setattr(loop, "_step", step)
    monkeypatch.setattr(memory_check, "_free_bytes", lambda run: 10**12)
    with pytest.raises(GoodviewsError) as caught:
        loop.pretrain(smoke, images, tmp_path / "run", OPTIONS)
    assert re.match(
        r"The memory of this machine is used up at step 1: a forward pass of 4 images keeps", str(caught.value)
    )
    assert "--accumulate 2 is the smallest that fits by this estimate (2 images at a time" in str(caught.value)


def test_other_errors_stay_what_they_are(smoke, images, tmp_path, monkeypatch):
    def step(run, batches):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(loop, "_step", step)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        loop.pretrain(smoke, images, tmp_path / "run", OPTIONS)


def test_large_step_is_announced_with_what_is_free(smoke, images, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(memory_check, "_SMALL_PIXELS", 0)
    monkeypatch.setattr(memory_check, "_free_bytes", lambda run: 1000)
    monkeypatch.setattr(loop, "_learn", lambda run, stop: None)
    loop.pretrain(smoke, images, tmp_path / "run", OPTIONS)
    assert re.search(r"a forward pass of 4 images keeps about .* \(estimated\); 0 MB are free", caplog.text)
    assert "not even two images at a time fit into the memory" in caplog.text


def test_run_goes_on_where_its_step_cannot_be_rehearsed(smoke, images, tmp_path, monkeypatch, caplog):
    def fail(*words, **options):
        raise RuntimeError("data-dependent")

    caplog.set_level(logging.INFO)
    monkeypatch.setattr(memory_check, "_SMALL_PIXELS", 0)
    monkeypatch.setattr(memory_check, "estimate_step", fail)
    monkeypatch.setattr(loop, "_learn", lambda run, stop: None)
    loop.pretrain(smoke, images, tmp_path / "run", OPTIONS)
    assert "what a step needs of memory cannot be estimated (data-dependent)" in caplog.text
    monkeypatch.setattr(loop, "_learn", lambda run, stop: (_ for _ in ()).throw(torch.OutOfMemoryError("none left")))
    with pytest.raises(GoodviewsError, match=r"used up at step 1; start again with --accumulate 2 and --overwrite"):
        loop.pretrain(smoke, images, tmp_path / "run", replace(OPTIONS, overwrite=True))
