"""ResNets with a stem for photos of 32 px: one 3 x 3 convolution of stride 1, without the pooling after it.

The stages then work on maps of 32, 16, 8 and 4 px; after the usual stem they would be 8, 4, 2 and 1 px. He et al.,
"Deep Residual Learning", arXiv:1512.03385, section 4.2, use this stem for CIFAR; Chen et al., "A Simple Framework for
Contrastive Learning", arXiv:2002.05709, appendix B.9, change ResNet-50 in the same way.

timm's ResNets have no argument for it, so the two networks are registered with timm under names of their own. Whoever
reads such a folder with timm or transformers imports this module first.
"""

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import nn

MODULE = "cifar_stem"  # the name of this file, by which timm lists its models
_SMALLER = 4  # the usual stem divides the side by 4

_cfg = {
    "num_classes": 1000,
    "input_size": (3, 32, 32),
    "pool_size": (4, 4),
    "crop_pct": 1.0,
    "interpolation": "bicubic",
    "first_conv": "conv1",
    "classifier": "fc",
}
default_cfgs = generate_default_cfgs({"resnet18_cifar.untrained": _cfg, "resnet50_cifar.untrained": _cfg})


class CifarResNet(ResNet):
    """timm's ResNet with its arguments, except those of the stem.

    Args:
        stem_padding: of the first convolution; solo-learn's networks pad by 2 and see maps of 34 px first.
    """

    def __init__(self, block: Any, layers: tuple[int, ...], in_chans: int = 3, stem_padding: int = 1, **arguments: Any):
        super().__init__(block, layers, in_chans=in_chans, **arguments)
        stem = nn.Conv2d(in_chans, 64, kernel_size=3, stride=1, padding=stem_padding, bias=False)
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
        self.add_module("conv1", stem)
        self.add_module("maxpool", nn.Identity())
        stages: list[dict[str, Any]] = self.feature_info
        stages[0]["reduction"] = 1
        for stage in stages[1:]:
            stage["reduction"] //= _SMALLER


@register_model
def resnet18_cifar(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """ResNet-18 for photos of 32 px, without weights."""
    return _build("resnet18_cifar", BasicBlock, (2, 2, 2, 2), pretrained, arguments)


@register_model
def resnet50_cifar(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """ResNet-50 for photos of 32 px, without weights."""
    return _build("resnet50_cifar", Bottleneck, (3, 4, 6, 3), pretrained, arguments)


def _build(name: str, block: Any, layers: tuple[int, ...], pretrained: bool, arguments: dict[str, Any]) -> nn.Module:
    network: nn.Module = build_model_with_cfg(CifarResNet, name, pretrained, block=block, layers=layers, **arguments)
    return network
