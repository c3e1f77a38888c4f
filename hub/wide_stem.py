"""ResNets whose stem is as wide as their stages: the "x2", "x4" and "w5" networks of SimCLR, SwAV and VICReg.

timm can widen a ResNet's stages (`channels`) but not its stem, which stays at 64 channels. The published networks widen
both. They are registered with timm under names of their own; whoever reads such a folder with timm or transformers
imports this module first.

Source of the shapes: facebookresearch/swav, src/resnet50.py; facebookresearch/vicreg, resnet.py;
tonylins/simclr-converter, resnet_wider.py. The first two pad the photo by 1 and convolve with a padding of 2, which is
the padding of 3 here.
"""

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import nn

MODULE = "wide_stem"  # the name of this file, by which timm lists its models
_TWICE = (128, 256, 512, 1024)  # the default: twice the channels of every published ResNet

_cfg = {
    "num_classes": 1000,
    "input_size": (3, 224, 224),
    "pool_size": (7, 7),
    "crop_pct": 0.875,
    "interpolation": "bilinear",
    "first_conv": "conv1",
    "classifier": "fc",
}
default_cfgs = generate_default_cfgs({f"resnet{depth}_wide.untrained": _cfg for depth in (18, 34, 50, 101, 152, 200)})


class WideStemResNet(ResNet):
    """timm's ResNet with `stem_channels` channels in its stem; the other arguments are timm's own."""

    def __init__(
        self,
        block: Any,
        layers: tuple[int, ...],
        in_chans: int = 3,
        stem_channels: int = 128,
        channels: tuple[int, ...] = _TWICE,
        **arguments: Any,
    ):
        # timm lets only a stem of three convolutions be wide; the plain one takes their place.
        super().__init__(
            block,
            layers,
            in_chans=in_chans,
            channels=tuple(channels),
            stem_type="deep",
            stem_width=stem_channels // 2,
            **arguments,
        )
        stem = nn.Conv2d(in_chans, stem_channels, kernel_size=7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
        self.add_module("conv1", stem)


@register_model
def resnet18_wide(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """ResNet-18 with a wide stem, without weights."""
    return _build("resnet18_wide", BasicBlock, (2, 2, 2, 2), pretrained, arguments)


@register_model
def resnet34_wide(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """ResNet-34 with a wide stem, without weights."""
    return _build("resnet34_wide", BasicBlock, (3, 4, 6, 3), pretrained, arguments)


@register_model
def resnet50_wide(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """ResNet-50 with a wide stem, without weights."""
    return _build("resnet50_wide", Bottleneck, (3, 4, 6, 3), pretrained, arguments)


@register_model
def resnet101_wide(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """ResNet-101 with a wide stem, without weights."""
    return _build("resnet101_wide", Bottleneck, (3, 4, 23, 3), pretrained, arguments)


@register_model
def resnet152_wide(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """ResNet-152 with a wide stem, without weights."""
    return _build("resnet152_wide", Bottleneck, (3, 8, 36, 3), pretrained, arguments)


@register_model
def resnet200_wide(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """ResNet-200 with a wide stem, without weights."""
    return _build("resnet200_wide", Bottleneck, (3, 24, 36, 3), pretrained, arguments)


def _build(name: str, block: Any, layers: tuple[int, ...], pretrained: bool, arguments: dict[str, Any]) -> nn.Module:
    made: nn.Module = build_model_with_cfg(WideStemResNet, name, pretrained, block=block, layers=layers, **arguments)
    return made
