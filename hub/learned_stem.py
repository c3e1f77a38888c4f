"""ResNets whose stem holds the generator of learned views: RGB goes in, and the network sees some of its channels.

They are registered with timm under names of their own; whoever reads such a folder with timm or transformers imports
this module first. So the generator travels in the encoder's weights, and nothing else is needed to use it.
"""

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import Tensor, nn

from .flow import Flow, FlowPlan

MODULE = "learned_stem"  # the name of this file, by which timm lists its models
PARTS = (slice(0, 1), slice(1, 3))  # the channels of the generator that each of the two networks sees
SUFFIX = "_learned"
ARCHITECTURES = ("resnet18", "resnet50")  # what may stand before it

_cfg = {
    "num_classes": 1000,
    "input_size": (3, 224, 224),
    "pool_size": (7, 7),
    "crop_pct": 0.875,
    "interpolation": "bilinear",
    "first_conv": "conv1",
    "classifier": "fc",
}
default_cfgs = generate_default_cfgs({f"resnet{depth}{SUFFIX}.untrained": _cfg for depth in (18, 50)})


class LearnedStem(nn.Module):
    """(N, 3, H, W) RGB, normalised by ImageNet's mean and deviation -> the first convolution's maps."""

    def __init__(self, plan: FlowPlan, part: int, conv: nn.Module):
        super().__init__()
        self.flow, self.part, self.conv = Flow(plan), part, conv

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.conv(self.flow(images)[:, PARTS[self.part]])
        return maps


class LearnedStemResNet(ResNet):
    """timm's ResNet on a part of a generator's channels; the other arguments are timm's own.

    Args:
        part: 0, the first channel, or 1, the other two.
        coupling, space, flow_blocks, flow_hidden: the generator's plan.
    """

    def __init__(
        self,
        block: Any,
        layers: tuple[int, ...],
        in_chans: int = 3,
        part: int = 0,
        coupling: Any = "additive",
        space: Any = "RGB",
        flow_blocks: int = 6,
        flow_hidden: int = 16,
        **arguments: Any,
    ):
        super().__init__(block, layers, in_chans=PARTS[part].stop - PARTS[part].start, **arguments)
        plan = FlowPlan(coupling, space, flow_blocks, flow_hidden)
        self.add_module("conv1", LearnedStem(plan, part, self.conv1))


def arguments_of(plan: FlowPlan, part: int) -> dict[str, Any]:
    """timm's arguments for a network on a part of such a generator."""
    return {
        "part": part,
        "coupling": plan.coupling,
        "space": plan.space,
        "flow_blocks": plan.blocks,
        "flow_hidden": plan.hidden,
    }


@register_model
def resnet18_learned(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """ResNet-18 on a part of learned views, without weights."""
    return _build("resnet18_learned", BasicBlock, (2, 2, 2, 2), pretrained, arguments)


@register_model
def resnet50_learned(pretrained: bool = False, **arguments: Any) -> nn.Module:
    """ResNet-50 on a part of learned views, without weights."""
    return _build("resnet50_learned", Bottleneck, (3, 4, 6, 3), pretrained, arguments)


def _build(name: str, block: Any, layers: tuple[int, ...], pretrained: bool, arguments: dict[str, Any]) -> nn.Module:
    made: nn.Module = build_model_with_cfg(LearnedStemResNet, name, pretrained, block=block, layers=layers, **arguments)
    return made
