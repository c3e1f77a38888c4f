"""Folders in timm's form that others wrote: read strictly, with nothing of theirs run."""

import json
import pickle
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models import save_for_hf

from goodviews.hub import ArtifactError, from_pretrained

pytestmark = pytest.mark.oldest


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A classifier of seven classes, saved by timm itself."""
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=7)
    save_for_hf(model, tmp_path / "theirs", safe_serialization=True)
    return tmp_path / "theirs"


def test_a_folder_that_timm_wrote_gives_timms_features(theirs: Path):
    encoder = from_pretrained(theirs)
    same = timm.create_model(f"local-dir:{theirs}", pretrained=True, num_classes=0).eval()
    batch = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        assert torch.equal(encoder(batch), same(batch))
    assert encoder.name == "theirs"


def test_pickled_weights_are_read_without_running_them(theirs: Path, tmp_path: Path):
    expected = from_pretrained(theirs).backbone.conv1[0].weight.clone()
    weights = timm.create_model(f"local-dir:{theirs}", pretrained=True).state_dict()
    (theirs / "model.safetensors").unlink()
    torch.save(weights, theirs / "pytorch_model.bin")
    assert torch.equal(from_pretrained(theirs).backbone.conv1[0].weight, expected)

    class Hostile:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "it-ran",))

    (theirs / "pytorch_model.bin").write_bytes(pickle.dumps({"x": Hostile()}))
    with pytest.raises(ArtifactError, match="is not a file of tensors alone"):
        from_pretrained(theirs)
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model_args": {"checkpoint_path": "evil.pth"}}, "passes 'checkpoint_path' in model_args to timm"),
        ({"model_args": {"pretrained": True}}, "passes 'pretrained' in model_args to timm"),
        ({"model_args": {"channels": [10**7] * 4}}, "plain numbers"),
        ({"model_args": {"channels": [[1]]}}, "plain numbers"),
        ({"model_args": [1]}, "must be an object"),
        ({"architecture": "resnetten"}, "which this timm does not know"),
        ({"architecture": 5}, "has 5 for architecture, which must be a valid string"),
        ({"global_pool": "none such"}, "has 'none such' for global_pool"),
        ({"pretrained_cfg": {"mean": [0.5]}}, "pretrained_cfg.mean"),
        ({"pretrained_cfg": {"input_size": [3, 10**7, 10**7]}}, "pretrained_cfg.input_size"),
        ({"pretrained_cfg": {"interpolation": "nearest"}}, "pretrained_cfg.interpolation"),
        ({"pretrained_cfg": {"crop_pct": 0}}, "pretrained_cfg.crop_pct"),
    ],
)
def test_a_config_that_asks_for_what_it_may_not_is_refused(theirs: Path, change: dict, sentence: str):
    config = json.loads((theirs / "config.json").read_text())
    (theirs / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ArtifactError, match=sentence):
        from_pretrained(theirs)


def test_weights_of_another_network_are_refused(theirs: Path):
    save_file(timm.create_model("resnet18", num_classes=7).state_dict(), theirs / "model.safetensors")
    with pytest.raises(ArtifactError, match="lacks tensor"):
        from_pretrained(theirs)
