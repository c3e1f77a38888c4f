"""A bit flip, NaN, infinity and dead features: noticed wherever an encoder is saved, loaded or used."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from goodviews.export import export
from goodviews.export.index.build import build
from goodviews.hub import ArtifactError, Encoder
from goodviews.hub.artifact import check, load, save
from goodviews.transfer.classification.knn import knn


@pytest.fixture
def broken(encoder: Encoder, request: pytest.FixtureRequest) -> Encoder:
    made = copy.deepcopy(encoder)
    last = [module for module in made.backbone.modules() if isinstance(module, torch.nn.BatchNorm2d)][-1]
    with torch.no_grad():
        if request.param == "dead":
            for norm in made.backbone.modules():
                if isinstance(norm, torch.nn.BatchNorm2d):
                    norm.weight.zero_()
                    norm.bias.fill_(-1)
        else:
            last.weight[0] = float(request.param)
    return made


ALL = pytest.mark.parametrize("broken", ["nan", "inf", "dead"], indirect=True)


@ALL
def test_save_refuses_what_gives_no_vectors(broken: Encoder, tmp_path: Path):
    with pytest.raises(ArtifactError, match=r"NaN|zeros"):
        save(broken, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@ALL
def test_transfer_index_and_export_refuse_it(broken: Encoder, colours: Path, tmp_path: Path):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ArtifactError, match=r"NaN|zeros"):
        knn().run(broken, colours, tmp_path / "run")
    with pytest.raises(ArtifactError, match=r"NaN|zeros"):
        build(broken, colours, tmp_path / "index")
    with pytest.raises(ArtifactError, match=r"NaN|zeros"):
        export(broken, tmp_path / "onnx")
    assert sorted(tmp_path.iterdir()) == before


def test_load_refuses_nan_in_the_weights(encoder: Encoder, tmp_path: Path):
    folder = save(encoder, tmp_path / "encoder")
    weights = load_file(folder / "model.safetensors")
    weights["conv1.weight"].view(-1)[0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for verify in (True, False):
        with pytest.raises(ArtifactError, match=r"NaN or infinity in tensor conv1\.weight"):
            load(folder, verify=verify)


def test_a_flipped_bit_is_noticed_when_the_weights_are_loaded(encoder: Encoder, tmp_path: Path):
    folder = save(encoder, tmp_path / "encoder")
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1000] ^= 1  # of a mantissa: every number stays finite
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"has sha256 .* is recorded"):
        load(folder)
    load(folder, verify=False)
    assert "the file was changed" in check(folder)[0]


def test_a_load_hashes_once_and_a_load_that_trusts_never(encoder: Encoder, tmp_path: Path, monkeypatch):
    folder, calls = save(encoder, tmp_path / "encoder"), []
    hash_file = __import__("goodviews.hub.weights", fromlist=["sha256"]).sha256
    monkeypatch.setattr("goodviews.hub.weights.sha256", lambda path: calls.append(path) or hash_file(path))
    load(folder)
    assert len(calls) == 1
    load(folder, verify=False)
    assert len(calls) == 1
