"""--init: a run starts from any encoder that loads by name, with its backbone and nothing else of it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from goodviews.hub import cli, from_pretrained
from goodviews.hub.artifact import check, load, save
from goodviews.hub.backbone import build_backbone
from goodviews.hub.encoder import Encoder, Origin
from goodviews.hub.errors import ArtifactError, OutputExists, UsageError
from goodviews.hub.preprocessing import Preprocessing
from goodviews.pretrain.models.ema import EmaPair
from goodviews.pretrain.models.queue import KeyQueue
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training import loop
from goodviews.pretrain.training.build import build_trained_network

from .test_distributed import run_in_two_processes

INPUT = Preprocessing(32, crop_pct=1.0, interpolation="bicubic", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


@pytest.fixture(scope="module")
def parent(tmp_path_factory) -> Path:
    """An encoder of another network and another input than the recipes have."""
    torch.manual_seed(3)
    encoder = Encoder(build_backbone("resnet18", width=0.125), INPUT, Origin("theirs", licence="cc-by-nc-4.0"))
    return save(encoder, tmp_path_factory.mktemp("parent") / "encoder")


@pytest.fixture(scope="module")
def moco_file(tmp_path_factory) -> Path:
    """A checkpoint with the keys of MoCo v2's own code."""
    torch.manual_seed(4)
    network = build_backbone("resnet18", width=0.125)
    state = {f"module.encoder_q.{name}": tensor for name, tensor in network.state_dict().items()}
    state |= {"module.queue": torch.zeros(128, 8), "module.queue_ptr": torch.zeros(1)}
    state["module.encoder_q.fc.0.weight"] = torch.zeros(64, 64)
    file = tmp_path_factory.mktemp("moco") / "moco_v2.pth.tar"
    torch.save({"epoch": 200, "arch": "resnet18", "state_dict": state}, file)
    return file


@pytest.fixture
def started(monkeypatch):
    """Runs as they are before their first step."""
    runs = []
    monkeypatch.setattr(loop, "_learn", lambda run, stop: runs.append(run))
    return runs


def options(parent: Path | str, **more) -> Options:
    return Options(init=str(parent), knn_every=0, precision="fp32", **more)


def test_backbone_and_its_ema_copy_are_the_encoders_and_head_and_queue_are_new(
    parent, images, smoke, tmp_path, started
):
    loop.pretrain(smoke, images, tmp_path / "run", options(parent))
    state, theirs = started[0].state, load(parent).backbone.state_dict()
    for network in (state.network, state.memory(EmaPair).key):
        own = network.backbone.state_dict()
        assert own.keys() == theirs.keys()
        assert all(torch.equal(own[name], theirs[name]) for name in theirs)
    fresh = build_trained_network(replace(smoke, architecture="resnet18", width=0.125), 0, torch.device("cpu"))
    assert [weight.shape for weight in state.network.head.parameters()] == [w.shape for w in fresh.head.parameters()]
    assert state.memory(KeyQueue).pointer == 0
    assert state.step == 0
    assert not state.optimizer.state_dict()["state"]


def test_run_is_of_the_encoders_network_and_input_and_names_it_with_its_digest(parent, images, smoke, tmp_path):
    before = {path.name: path.read_bytes() for path in parent.iterdir()}
    encoder = load(loop.pretrain(replace(smoke, epochs=1), images, tmp_path / "run", options(parent)))
    assert check(tmp_path / "run" / "encoder") == []
    digest = json.loads((parent / "config.json").read_text())["goodviews"]["weights_sha256"]
    assert encoder.origin.parent == f"theirs (weights {digest})"
    assert (encoder.architecture, encoder.model_args) == ("resnet18", {"channels": [8, 16, 32, 64]})
    assert encoder.preprocessing == INPUT
    assert encoder.origin.licence == "cc-by-nc-4.0"
    assert encoder.origin.recipe["width"] == 0.125
    assert encoder.origin.recipe["views"][0]["program"][-1]["mean"] == [0.5, 0.5, 0.5]
    assert not torch.equal(encoder.backbone.conv1.weight, load(parent).backbone.conv1.weight)
    assert {path.name: path.read_bytes() for path in parent.iterdir()} == before


@pytest.mark.slow
def test_run_from_an_encoder_is_resumed_bit_for_bit_and_only_with_the_same_one(
    parent, images, smoke, tmp_path, monkeypatch
):
    loop.pretrain(smoke, images, tmp_path / "whole", options(parent))
    step = loop._step
    for last, name in ((2, "early"), (6, "late")):

        def step_or_stop(run, batches, last=last):
            if run.state.step == last:
                raise KeyboardInterrupt
            return step(run, batches)

        monkeypatch.setattr(loop, "_step", step_or_stop)
        with pytest.raises(KeyboardInterrupt):
            loop.pretrain(smoke, images, tmp_path / name, options(parent, save_every=5))
        monkeypatch.undo()
        loop.pretrain(smoke, images, tmp_path / name, options(parent, resume=True))
    weights = [(tmp_path / run / "encoder" / "model.safetensors").read_bytes() for run in ("whole", "early", "late")]
    assert weights[0] == weights[1] == weights[2]
    other = save(Encoder(build_backbone("resnet18", width=0.125), INPUT, Origin("another")), tmp_path / "another")
    with pytest.raises(UsageError, match=r"was started with parent theirs \(weights .*, not another \(weights"):
        loop.pretrain(smoke, images, tmp_path / "late", options(other, resume=True))


@pytest.mark.parametrize("name", ["moco_v2_smoke", "swav_smoke", "simclr_smoke", "pirl_smoke", "byol_smoke"])
def test_methods_with_other_heads_and_memories_start_from_an_encoder_too(name, parent, images, tmp_path, started):
    loop.pretrain(choose(name), images, tmp_path / "run", options(parent))
    backbone = started[0].state.network.backbone
    assert torch.equal(backbone.layer4[1].conv2.weight, load(parent).backbone.layer4[1].conv2.weight)


def test_method_with_two_backbones_of_other_colours_is_refused(parent, images, tmp_path):
    with pytest.raises(UsageError, match=r"cmc_smoke trains one backbone on luma and one on chroma"):
        loop.pretrain(choose("cmc_smoke"), images, tmp_path / "run", options(parent))
    assert not (tmp_path / "run").exists()


def test_both_kinds_of_start_together_are_refused_and_each_help_names_the_other(parent, images, tmp_path, capsys):
    words = ["pretrain", "moco_v2_smoke", "--data", images, "--out", tmp_path / "run"]
    with pytest.raises(UsageError, match=r"--init .* and --continue-from .* give one of them"):
        cli.run([str(word) for word in [*words, "--init", parent, "--continue-from", parent]])
    assert not (tmp_path / "run").exists()
    cli.run(["pretrain", "--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "To take over heads and memories too, --continue-from." in text
    assert "For an encoder without training/, --init." in text


def test_encoder_that_is_not_there_is_refused_before_anything_is_written(images, smoke, tmp_path):
    with pytest.raises(ArtifactError, match="There is no encoder nowhere"):
        loop.pretrain(smoke, images, tmp_path / "run", options("nowhere"))
    assert not (tmp_path / "run").exists()


def test_encoder_is_not_overwritten_by_the_run_that_starts_from_it(parent, images, smoke, tmp_path):
    mine = Path(shutil.copytree(parent, tmp_path / "run" / "encoder"))
    with pytest.raises(OutputExists, match=r"holds the input .* which stays as it is"):
        loop.pretrain(smoke, images, tmp_path / "run", options(mine, overwrite=True))
    assert load(mine).name == "theirs"


def test_adapting_recipe_takes_the_size_of_the_encoder_and_none_without_one(parent, images, tmp_path, capsys):
    words = ["pretrain", "simclr_adapt", "--data", str(images), "--out", str(tmp_path / "run"), "--device", "cpu"]
    with pytest.raises(UsageError, match=r"simclr_adapt goes on from an encoder .* --init goodviews:mini"):
        cli.run(words)
    words += ["--init", str(parent), "--batch-size", "8", "--epochs", "1", "--precision", "fp32", "--knn-every", "0"]
    with pytest.raises(UsageError, match=r"--set width=2: the network is that of --init"):
        cli.run([*words, "--set", "width=2"])
    cli.run(words)
    encoder = from_pretrained(tmp_path / "run" / "encoder")
    assert encoder.preprocessing.input_px == 32
    assert [view["crop"]["px"] for view in encoder.origin.recipe["views"]] == [32, 32]
    assert "network\tresnet18, width 0.125" in capsys.readouterr().out


OWN_FILE = """
from dataclasses import replace
from goodviews.pretrain.recipes.moco import moco_v2_smoke, moco_v2_views

def mine(px=224):
    return replace(moco_v2_smoke(), views=moco_v2_views(px=px))
"""


def test_recipe_of_ones_own_that_takes_px_gets_the_encoders(tmp_path):
    (tmp_path / "own_adapt.py").write_text(OWN_FILE)
    name = f"{tmp_path / 'own_adapt.py'}:mine"
    assert choose(name).input_px == 224
    assert choose(name, start_px=40).input_px == 40
    assert choose("moco_v2_smoke", start_px=40).input_px == 32


TWO = """
import sys
from goodviews.hub import cli

if __name__ == "__main__":
    cli.run(["pretrain", *sys.argv[1:]])
"""


@pytest.mark.slow
def test_two_processes_start_from_an_imported_moco_checkpoint(moco_file, images, tmp_path):
    """At a rate of almost nothing the weights of the encoder that both make are those of the file."""
    (tmp_path / "two.py").write_text(TWO)
    cli.run(["hub", "import", str(moco_file), "--out", str(tmp_path / "imported")])
    words = ["simclr_adapt", "--init", tmp_path / "imported", "--data", images, "--out", tmp_path / "run"]
    words += ["--batch-size", 8, "--epochs", 1, "--precision", "fp32", "--knn-every", 0, "--device", "cpu"]
    words += ["--set", "optimizer.lr=1e-12", "schedule.warmup_epochs=0"]
    words += ["views.0.crop.px=32", "views.1.crop.px=32", "--workers", 0]
    run_in_two_processes([tmp_path / "two.py", *map(str, words)])
    theirs = torch.load(moco_file, weights_only=True)["state_dict"]
    encoder = load(tmp_path / "run" / "encoder")
    for name, weight in encoder.backbone.named_parameters():
        torch.testing.assert_close(weight, theirs[f"module.encoder_q.{name}"], rtol=0, atol=1e-6)
    assert encoder.origin.parent.startswith("moco_v2 (weights ")
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 2
