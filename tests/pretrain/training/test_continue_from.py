"""An encoder folder that carries its training goes on training, as a new run that knows its parent."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from goodviews.hub.artifact import check, load
from goodviews.hub.errors import ArtifactError, UsageError
from goodviews.pretrain.models.ema import EmaPair
from goodviews.pretrain.models.queue import KeyQueue
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training import checkpoint, loop

pytestmark = pytest.mark.precision


@pytest.fixture(scope="module")
def parent(images, smoke, tmp_path_factory) -> Path:
    """An encoder folder with training/, at its place after a move."""
    run = tmp_path_factory.mktemp("parent")
    loop.pretrain(smoke, images, run / "run", Options(knn_every=0, keep_training=True))
    return Path(shutil.move(run / "run" / "encoder", run / "encoder"))


def state(folder: Path) -> dict:
    return torch.load(folder / checkpoint.FILE, weights_only=True)


def test_encoder_folder_with_training_is_whole(parent):
    assert check(parent) == []
    assert sorted(path.name for path in (parent / "training").iterdir()) == [checkpoint.FILE, "recipe.json"]
    assert state(parent / "training")["step"] == 8


def test_run_starts_with_the_networks_queue_and_optimiser_of_its_parent(parent, images, smoke, tmp_path, monkeypatch):
    runs = []
    monkeypatch.setattr(loop, "_learn", lambda run, stop: runs.append(run))
    slower = replace(smoke, optimizer=replace(smoke.optimizer, lr=0.01, weight_decay=0.5))
    loop.pretrain(slower, images, tmp_path / "run", Options(knn_every=0, continue_from=parent))
    ours, theirs = runs[0].state, state(parent / "training")
    assert ours.step == 0
    for network, name in ((ours.network, "query"), (ours.memory(EmaPair).key, "key")):
        assert all(torch.equal(weight, theirs[name][key]) for key, weight in network.state_dict().items())
    assert torch.equal(ours.memory(KeyQueue).rows, theirs["memory"]["rows"])
    assert ours.memory(KeyQueue).pointer == theirs["memory"]["pointer"]
    running = [entry["momentum_buffer"] for entry in ours.optimizer.state_dict()["state"].values()]
    expected = [entry["momentum_buffer"] for entry in theirs["optimizer"]["state"].values()]
    assert all(torch.equal(a, b) for a, b in zip(running, expected, strict=True))
    assert ours.optimizer.param_groups[0]["weight_decay"] == 0.5  # its own recipe's


def test_run_goes_on_with_more_epochs_and_other_data_and_names_its_parent(parent, images, smoke, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(images, other)
    for path in list(other.rglob("*.png"))[:4]:
        path.unlink()
    longer = replace(smoke, epochs=3)
    loop.pretrain(
        longer, other, tmp_path / "run", Options(knn_every=0, seed=1, continue_from=parent, keep_training=True)
    )
    encoder = load(tmp_path / "run" / "encoder")
    config = json.loads((parent / "config.json").read_text())["goodviews"]
    assert encoder.origin.parent == f"infomin_smoke (weights {config['weights_sha256']})"
    assert encoder.origin.dataset["images"] == 12
    loop.pretrain(smoke, other, tmp_path / "next", Options(knn_every=0, continue_from=tmp_path / "run" / "encoder"))
    assert "infomin_smoke (weights" in load(tmp_path / "next" / "encoder").origin.parent


def test_run_with_a_parent_is_resumed_bit_for_bit_even_from_before_its_first_checkpoint(
    parent, images, smoke, tmp_path, monkeypatch
):
    options = {"knn_every": 0, "continue_from": parent, "seed": 1}
    loop.pretrain(smoke, images, tmp_path / "whole", Options(**options))
    step = loop._step
    for last, name in ((2, "early"), (6, "late")):

        def step_or_stop(run, batches, last=last):
            if run.state.step == last:
                raise KeyboardInterrupt
            return step(run, batches)

        monkeypatch.setattr(loop, "_step", step_or_stop)
        with pytest.raises(KeyboardInterrupt):
            loop.pretrain(smoke, images, tmp_path / name, Options(save_every=5, **options))
        monkeypatch.undo()
        loop.pretrain(smoke, images, tmp_path / name, Options(resume=True, **options))
    weights = [(tmp_path / run / "encoder" / "model.safetensors").read_bytes() for run in ("whole", "early", "late")]
    assert weights[0] == weights[1] == weights[2]
    with pytest.raises(UsageError, match=r"was started with parent infomin_smoke .*, not None"):
        loop.pretrain(smoke, images, tmp_path / "late", Options(resume=True, knn_every=0, seed=1))


def test_memory_of_another_size_starts_anew(parent, images, smoke, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    runs = []
    monkeypatch.setattr(loop, "_learn", lambda run, stop: runs.append(run))
    larger = replace(smoke, memory=replace(smoke.memory, size=12))
    loop.pretrain(larger, images, tmp_path / "run", Options(knn_every=0, continue_from=parent))
    assert len(runs[0].state.memory(KeyQueue).rows) == 12
    assert "this one starts anew" in caplog.text


@pytest.mark.parametrize("change", [{"architecture": "test_nfnet"}, {"dim": 64}])
def test_parent_of_another_kind_is_refused_before_anything_is_written(change, parent, images, smoke, tmp_path):
    with pytest.raises(ArtifactError, match=r"checkpoint.pt does not fit this recipe"):
        loop.pretrain(replace(smoke, **change), images, tmp_path / "run", Options(continue_from=parent))
    assert not (tmp_path / "run").exists()


def test_parent_of_a_method_without_keys_is_refused(parent, images, tmp_path):
    with pytest.raises(ArtifactError, match=r"does not fit this recipe|another optimiser"):
        recipe = replace(choose("simclr_smoke"), architecture="test_resnet")
        loop.pretrain(recipe, images, tmp_path / "run", Options(continue_from=parent))


def test_encoder_without_training_says_how_to_keep_it(parent, images, smoke, tmp_path):
    bare = shutil.copytree(parent, tmp_path / "bare", ignore=shutil.ignore_patterns("training"))
    with pytest.raises(ArtifactError, match=r"training/ is missing. A run keeps it when .* --keep-training"):
        loop.pretrain(smoke, images, tmp_path / "run", Options(continue_from=bare))
    with pytest.raises(ArtifactError, match=r"holds no encoder"):
        loop.pretrain(smoke, images, tmp_path / "run", Options(continue_from=tmp_path))
