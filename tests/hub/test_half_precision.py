"""An encoder in half precision: half the file, the same encoder to every reader."""

import json

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file

from goodviews.hub import Encoder, from_pretrained, load, save
from goodviews.hub.artifact import check
from goodviews.hub.cli import run
from goodviews.hub.errors import ArtifactError
from goodviews.hub.half_precision import halve


@pytest.fixture
def encoder() -> Encoder:
    return from_pretrained("random:resnet18-w0.25-32px")


def test_the_file_is_half_as_large_and_embeds_nearly_the_same(encoder, tmp_path):
    whole, half = save(encoder, tmp_path / "whole"), save(halve(encoder), tmp_path / "half")
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (half, whole)]
    assert sizes[0] < 0.55 * sizes[1]
    photo = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    assert float(encoder.encode([photo])[0] @ load(half).encode([photo])[0]) > 0.9999


def test_a_halved_folder_is_sound_and_stays_the_same_when_it_is_written_again(encoder, tmp_path):
    half = save(halve(encoder), tmp_path / "half")
    assert check(half) == []
    again = save(load(half), tmp_path / "again")
    assert (again / "model.safetensors").read_bytes() == (half / "model.safetensors").read_bytes()
    recorded = json.loads((half / "config.json").read_text())["goodviews"]["weights_sha256"]
    assert load(half).report_id().weights_sha256 == load(half).id.weights_sha256 == recorded


def test_it_computes_in_float32_wherever_it_is_read(encoder, tmp_path):
    from transformers import AutoModel

    half = save(halve(encoder), tmp_path / "half")
    batch = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    ours = load(half)
    with torch.inference_mode():
        expected = ours(batch)
        assert all(weight.dtype == torch.float32 for weight in ours.parameters())
        assert all(tensor.dtype != torch.float32 for tensor in load_file(half / "model.safetensors").values())
        timms = timm.create_model(f"local-dir:{half}", pretrained=True, num_classes=0).eval()
        torch.testing.assert_close(timms(batch), expected, rtol=0, atol=1e-5)
        theirs = AutoModel.from_pretrained(half, dtype=torch.float32).eval()
        torch.testing.assert_close(theirs(batch).pooler_output, expected, rtol=0, atol=1e-5)


def test_a_weight_that_float16_cannot_hold_is_refused(encoder):
    next(encoder.parameters()).data[0] = 1e6
    with pytest.raises(ArtifactError, match="float16"):
        halve(encoder)


def test_the_command_says_size_and_difference(tmp_path, capsys):
    run(["hub", "halve", "random:resnet18-w0.25-32px", "--out", str(tmp_path / "half")])
    assert "MB of weights" in capsys.readouterr().out
    assert check(tmp_path / "half") == []
