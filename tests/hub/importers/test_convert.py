import pickle
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file
from torchvision.models.resnet import Bottleneck, ResNet

from goodviews.hub import Encoder, Origin, OutputExists, Preprocessing, UsageError, save
from goodviews.hub.backbone import build_backbone
from goodviews.hub.importers.convert import TARGETS, convert
from goodviews.hub.importers.import_file import read_encoders

FILES = [(to, suffix) for to, target in TARGETS.items() for suffix in target.suffixes]


@pytest.fixture(scope="module")
def folder(network, tmp_path_factory) -> Path:
    encoder = Encoder(network, Preprocessing(), Origin("small"))
    return save(encoder, tmp_path_factory.mktemp("convert") / "encoder")


@pytest.mark.parametrize(("to", "suffix"), FILES)
def test_there_and_back_are_the_same_weights(to, suffix, folder, network, tmp_path, features):
    file = convert(folder, to, tmp_path / f"file{suffix}")
    report = read_encoders(file, format="auto" if to != "timm" else "timm")
    assert report.format == to
    found = report.encoders[0].encoder
    own = network.state_dict()
    assert all(torch.equal(tensor, own[name]) for name, tensor in found.backbone.state_dict().items())
    assert torch.equal(features(found), features(network))


def test_mocos_own_loader_finds_all_but_the_classifier(folder, network, tmp_path):
    """What facebookresearch/moco does in main_lincls.py, and in the conversion to detectron2."""
    state = torch.load(convert(folder, "moco", tmp_path / "e.pth.tar"), weights_only=True)["state_dict"]
    prefix = "module.encoder_q."
    mine = {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}
    assert mine.keys() == network.state_dict().keys()


def test_torchvision_loads_its_file_strictly(tmp_path, look_trained, features):
    torch.manual_seed(0)
    backbone = look_trained(build_backbone("resnet50")).eval()
    folder = save(Encoder(backbone, Preprocessing(), Origin("whole")), tmp_path / "encoder")
    theirs = ResNet(Bottleneck, [3, 4, 6, 3]).eval()
    theirs.fc = torch.nn.Identity()
    theirs.load_state_dict(
        torch.load(convert(folder, "torchvision", tmp_path / "e.pth"), weights_only=True), strict=True
    )
    assert torch.equal(features(theirs), features(backbone))


def test_timm_loads_its_file(folder, network, tmp_path, features):
    file = convert(folder, "timm", tmp_path / "e.safetensors")
    assert load_file(file).keys() == network.state_dict().keys()
    model = timm.create_model(
        "resnet50", num_classes=0, channels=network.model_args["channels"], checkpoint_path=str(file)
    ).eval()
    assert torch.equal(features(model), features(network))


def test_detectron2s_file_is_as_its_reader_wants_it(folder, tmp_path):
    content = pickle.loads(convert(folder, "detectron2", tmp_path / "e.pkl").read_bytes())
    assert (content["__author__"], content["matching_heuristics"]) == ("goodviews", True)
    names = set(content["model"])
    assert len(names) == 318
    assert {"stem.conv1.weight", "stem.conv1.norm.bias", "res2.0.shortcut.norm.running_var"} < names
    assert type(content["model"]["stem.conv1.weight"]).__name__ == "ndarray"


@pytest.mark.parametrize(
    ("to", "name", "sentence"),
    [
        ("keras", "e.h5", r"no format keras to convert to; give one of moco, torchvision"),
        ("moco", "e.safetensors", r"e\.safetensors must end with \.tar or \.pth"),
    ],
)
def test_unknown_targets_and_suffixes_are_refused(to, name, sentence, folder, tmp_path):
    with pytest.raises(UsageError, match=sentence):
        convert(folder, to, tmp_path / name)


def test_a_file_that_exists_is_kept_unless_it_may_be_replaced(folder, tmp_path):
    (tmp_path / "e.pth").write_bytes(b"PK\x03\x04mine")
    with pytest.raises(OutputExists):
        convert(folder, "torchvision", tmp_path / "e.pth")
    assert (tmp_path / "e.pth").read_bytes() == b"PK\x03\x04mine"
    convert(folder, "torchvision", tmp_path / "e.pth", overwrite=True)


@pytest.mark.parametrize("architecture", ["test_efficientnet", "resnet18_cifar", "resnet26d"])
@pytest.mark.parametrize("to", ["moco", "detectron2"])
def test_networks_that_their_programs_cannot_build_are_refused(to, architecture, tmp_path):
    folder = save(Encoder(build_backbone(architecture), Preprocessing(160), Origin("other")), tmp_path / "encoder")
    with pytest.raises(UsageError, match=f"Only a plain ResNet or ResNeXt can be converted to {to}"):
        convert(folder, to, tmp_path / "e.pth")
    assert not (tmp_path / "e.pth").exists()
