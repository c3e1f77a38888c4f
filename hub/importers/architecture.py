"""Which ResNet has tensors of these shapes: depth, width, groups and stem are read off them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import ArtifactError

Shapes = Mapping[str, tuple[int, ...]]  # of tensors by their names

# Blocks of the four stages, and whether they are bottlenecks -> layers.
DEPTHS: dict[tuple[tuple[int, ...], bool], int] = {
    ((2, 2, 2, 2), False): 18,
    ((3, 4, 6, 3), False): 34,
    ((3, 4, 6, 3), True): 50,
    ((3, 4, 23, 3), True): 101,
    ((3, 8, 36, 3), True): 152,
    ((3, 24, 36, 3), True): 200,
}
_NAMED = {  # (layers, groups, channels of a group) -> timm's own name
    (50, 32, 4): "resnext50_32x4d",
    (101, 32, 4): "resnext101_32x4d",
    (101, 32, 8): "resnext101_32x8d",
    (101, 64, 4): "resnext101_64x4d",
    (50, 1, 128): "wide_resnet50_2",
    (101, 1, 128): "wide_resnet101_2",
}
_CHANNELS = (64, 128, 256, 512)  # of the stages of every published ResNet


@dataclass(frozen=True)
class Architecture:
    """What timm must be told: a name and what differs from it."""

    name: str
    model_args: dict[str, Any] = field(default_factory=dict)


def read_architecture(shapes: Shapes, *, source: str, small_stem_padding: int | None = None) -> Architecture:
    """The ResNet that these tensors belong to.

    Args:
        shapes: under torchvision's names.
        source: for the message.
        small_stem_padding: of a first convolution of 3 x 3, which shapes do not tell; None where it is unknown.

    Raises:
        ArtifactError: no ResNet has such tensors, or the shapes alone do not tell which.
    """
    blocks = tuple(_blocks(shapes, stage) for stage in (1, 2, 3, 4))
    is_bottleneck = "layer1.0.conv3.weight" in shapes
    depth = DEPTHS.get((blocks, is_bottleneck))
    if depth is None:
        raise ArtifactError(
            f"{source} holds no ResNet that goodviews knows: its stages have {', '.join(map(str, blocks))} blocks. "
            "Complete ResNets and ResNeXts of 18 to 200 layers can be read; --architecture names others of timm's."
        )
    stem = shapes.get("conv1.weight", ())
    if len(stem) != 4 or stem[2:] not in ((7, 7), (3, 3)):
        raise ArtifactError(
            f"{source} holds no plain ResNet: its first convolution conv1.weight "
            + (f"has the shape {stem}." if stem else "is missing.")
        )
    arguments = _widths(shapes, is_bottleneck)
    if stem[2:] == (3, 3):
        return _small(depth, arguments, stem, small_stem_padding, source)
    if stem[0] != 64:
        arguments.setdefault("channels", list(_CHANNELS))
        return Architecture(f"resnet{depth}_wide", {"stem_channels": stem[0], **arguments})
    named = _NAMED.get((depth, arguments.get("cardinality", 1), arguments.get("base_width", 64)))
    if named and "channels" not in arguments:
        return Architecture(named)
    return Architecture(f"resnet{depth}", arguments)


def _small(
    depth: int, arguments: dict[str, Any], stem: tuple[int, ...], padding: int | None, source: str
) -> Architecture:
    if padding is None:
        raise ArtifactError(
            f"{source} has a first convolution of 3 x 3, and nothing tells whether the network pools after it. If it "
            f"is SimCLR's network for small photos, say --architecture resnet{depth}_cifar."
        )
    if depth not in (18, 50) or stem[0] != 64:
        raise ArtifactError(
            f"{source} holds a ResNet-{depth} for small photos with {stem[0]} channels in its stem; only ResNet-18 and "
            "ResNet-50 with 64 channels can be read."
        )
    return Architecture(f"resnet{depth}_cifar", ({} if padding == 1 else {"stem_padding": padding}) | arguments)


def _blocks(shapes: Shapes, stage: int) -> int:
    found = {int(match[1]) for name in shapes if (match := re.match(rf"layer{stage}\.(\d+)\.", name))}
    return len(found) if found == set(range(len(found))) else 0


def _widths(shapes: Shapes, is_bottleneck: bool) -> dict[str, Any]:
    """What differs from a plain ResNet's channels and groups; a tensor that is missing is found by the strict load."""
    last, expansion = ("conv3", 4) if is_bottleneck else ("conv2", 1)
    channels = tuple(
        shapes.get(f"layer{stage}.0.{last}.weight", (usual * expansion,))[0] // expansion
        for stage, usual in zip((1, 2, 3, 4), _CHANNELS)
    )
    arguments: dict[str, Any] = {} if channels == _CHANNELS else {"channels": list(channels)}
    middle = shapes.get("layer1.0.conv2.weight")
    if is_bottleneck and middle and len(middle) == 4:
        before = shapes.get("layer1.0.conv1.weight", middle)[0]
        groups = max(before // max(middle[1], 1), 1)
        base_width = middle[0] * 64 // (groups * max(channels[0], 1))
        arguments |= ({} if groups == 1 else {"cardinality": groups}) | (
            {} if base_width == 64 else {"base_width": base_width}
        )
    return arguments
