import pytest
import timm
import torch
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from goodviews.hub import ArtifactError, save
from goodviews.hub.importers.architecture import read_architecture
from goodviews.hub.importers.import_file import read_encoders

pytestmark = pytest.mark.oldest


def shapes(name: str, **arguments: object) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=0, **arguments)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "resnet200",
        "resnext50_32x4d",
        "resnext101_32x8d",
        "resnext101_64x4d",
        "wide_resnet50_2",
    ],
)
def test_depth_and_groups_are_read_off_the_shapes(name):
    found = read_architecture(shapes(name), source="file")
    assert (found.name, found.model_args) == (name, {})


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("resnet50", {"channels": [32, 64, 128, 256]}),
        ("resnet152", {"cardinality": 32, "base_width": 4}),
        ("resnet50_wide", {"stem_channels": 128, "channels": [128, 256, 512, 1024]}),
        ("resnet50_wide", {"stem_channels": 256, "channels": [256, 512, 1024, 2048]}),
        ("resnet200_wide", {"stem_channels": 128, "channels": [128, 256, 512, 1024]}),
        ("resnet18_wide", {"stem_channels": 16, "channels": [16, 32, 64, 128]}),
    ],
)
def test_widths_are_read_off_the_shapes(name, arguments):
    found = read_architecture(shapes(name, **arguments), source="file")
    assert (found.name, found.model_args) == (name, arguments)


class WideReference(ResNet):
    """As SwAV and VICReg write it: photo padded by 1, a convolution that pads by 2, a stem as wide as the stages."""

    def __init__(self, block: type[BasicBlock | Bottleneck], layers: list[int], base: int):
        super().__init__(block, layers)
        self.inplanes = base
        self.conv1 = nn.Conv2d(3, base, 7, stride=2, padding=2, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        for stage, (blocks, stride) in enumerate(zip(layers, (1, 2, 2, 2))):
            setattr(self, f"layer{stage + 1}", self._make_layer(block, base * 2**stage, blocks, stride=stride))
        self.fc = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.pad(images, (1, 1, 1, 1)))


@pytest.mark.parametrize(("block", "layers"), [(Bottleneck, [3, 4, 6, 3]), (BasicBlock, [2, 2, 2, 2])])
def test_networks_with_a_wide_stem_compute_what_their_programs_compute(
    block, layers, save_checkpoint, look_trained, features, tmp_path
):
    torch.manual_seed(0)
    source = look_trained(WideReference(block, layers, 24)).eval()
    encoder = read_encoders(save_checkpoint(source.state_dict())).encoders[0].encoder
    torch.testing.assert_close(features(encoder), features(source), rtol=1e-5, atol=1e-5)
    folder = save(encoder, tmp_path / "encoder")
    assert "import goodviews.hub.wide_stem" in (folder / "README.md").read_text()
    again = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    assert torch.equal(features(again), features(encoder))


def test_torchvisions_own_network_and_the_imported_one_agree_to_the_bit(save_checkpoint, look_trained, features):
    torch.manual_seed(0)
    source = look_trained(ResNet(Bottleneck, [3, 4, 6, 3], groups=4, width_per_group=2)).eval()
    file = save_checkpoint(source.state_dict())
    encoder = read_encoders(file).encoders[0].encoder
    assert encoder.model_args == {"cardinality": 4, "base_width": 2}
    source.fc = nn.Identity()
    assert torch.equal(features(encoder), features(source))


def test_small_stem_that_nothing_explains_is_refused_until_it_is_named(make_network, save_checkpoint, features):
    source = make_network("resnet18_cifar", width=0.25)
    file = save_checkpoint(source.state_dict())
    with pytest.raises(ArtifactError, match="--architecture resnet18_cifar"):
        read_encoders(file)
    encoder = read_encoders(file, architecture="resnet18_cifar").encoders[0].encoder
    assert torch.equal(features(encoder), features(source))


def test_other_networks_of_timms_load_when_they_are_named(save_checkpoint, features):
    torch.manual_seed(0)
    source = timm.create_model("test_resnet", num_classes=0).eval()
    encoder = read_encoders(save_checkpoint(source.state_dict()), format="timm", architecture="test_resnet").encoders[0]
    assert torch.equal(features(encoder.encoder), features(source))
