"""A network for weights from a file draws none of its own, and is whole once it has them."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from goodviews.hub import Encoder, load, save
from goodviews.hub.backbone import build_backbone, empty_backbone
from goodviews.hub.weights import load_strictly

pytestmark = pytest.mark.oldest


@pytest.mark.parametrize("architecture", ["resnet18", "resnext50_32x4d", "resnet18_cifar", "resnet18_wide"])
def test_a_resnet_has_no_memory_until_its_weights_are_read(architecture: str):
    full = build_backbone(architecture).eval()
    empty = empty_backbone(architecture, {})
    assert all(tensor.is_meta for tensor in empty.state_dict().values())
    load_strictly(empty, full.state_dict(), source="full")
    photo = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(empty.eval()(photo), full(photo), rtol=0, atol=0)
    assert all(tensor.requires_grad for tensor in empty.parameters())


@pytest.mark.parametrize("architecture", ["vit_tiny_patch16_224", "resnetblur18"])
def test_a_network_with_tensors_that_no_file_holds_is_made_in_full(architecture: str):
    network = empty_backbone(architecture, {})
    assert not any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers()))


def test_loading_draws_no_random_numbers(encoder: Encoder, tmp_path: Path):
    folder = save(encoder, tmp_path / "encoder")
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load(folder)
    assert torch.rand(1) == expected


def test_weights_are_float32_and_stay_when_their_file_changes(encoder: Encoder, tmp_path: Path):
    folder = save(encoder, tmp_path / "encoder")
    weights = load_file(folder / "model.safetensors")
    halves = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    loaded = load(folder, verify=False)
    before = loaded.backbone.conv1.weight.clone()
    with (folder / "model.safetensors").open("r+b") as stream:  # in place, as a careless copy would
        stream.seek(10_000)
        stream.write(bytes(20_000_000))
    assert before.dtype == torch.float32
    torch.testing.assert_close(loaded.backbone.conv1.weight, before, rtol=0, atol=0)
