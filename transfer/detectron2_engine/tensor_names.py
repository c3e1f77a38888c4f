"""An encoder's tensors under detectron2's names, every one of them or none.

detectron2 loads weights loosely: from a checkpoint with torchvision's names it takes conv1 alone, warns, and trains an
otherwise random network. Here a tensor without a place, or a place without a tensor, stops the run. This file needs
names and shapes only, neither torch nor detectron2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ...hub.errors import UsageError
from ...hub.importers.detectron2_names import detectron2_name

Shapes = Mapping[str, tuple[int, ...]]  # of tensors by their names
Trunk = Literal["c4", "fpn"]

# Blocks of the four stages, and whether they are bottlenecks -> layers.
DEPTHS: dict[tuple[tuple[int, ...], bool], int] = {
    ((2, 2, 2, 2), False): 18,
    ((3, 4, 6, 3), False): 34,
    ((3, 4, 6, 3), True): 50,
    ((3, 4, 23, 3), True): 101,
    ((3, 8, 36, 3), True): 152,
}
NEW_LAYERS = {  # what a detector adds to a ResNet, by the beginnings of its names
    "c4": ("proposal_generator.", "roi_heads.box_predictor.", "roi_heads.mask_head.", "roi_heads.res5.norm."),
    "fpn": (
        "proposal_generator.",
        "roi_heads.box_head.",
        "roi_heads.box_predictor.",
        "roi_heads.mask_head.",
        "backbone.fpn_",
    ),
}
_NORM = r"(?:weight|bias|running_mean|running_var|num_batches_tracked)"
_NAMES = re.compile(
    rf"conv1\.weight|bn1\.{_NORM}|"
    rf"layer[1-4]\.\d+\.(?:conv[123]\.weight|bn[123]\.{_NORM}|downsample\.0\.weight|downsample\.1\.{_NORM})"
)


@dataclass(frozen=True)
class ResNetShape:
    """What detectron2 needs to build the same ResNet."""

    depth: int
    is_bottleneck: bool
    res2_channels: int  # after the first stage
    groups: int = 1
    width_per_group: int = 64  # channels of a group inside the first stage's blocks


def shape_of(shapes: Shapes, architecture: str, trunk: Trunk) -> ResNetShape:
    """The ResNet that has tensors of these names and shapes.

    Raises:
        UsageError: it is no plain ResNet or ResNeXt, or one that detectron2 cannot build this detector on.
    """
    strange = next((name for name in shapes if not _NAMES.fullmatch(name)), None)
    if strange is not None or shapes.get("conv1.weight") != (64, 3, 7, 7):
        reason = f"its tensor {strange} is in none" if strange else "its first convolution is not 7 x 7 over RGB"
        raise _no_plain_resnet(architecture, reason)
    blocks = tuple(
        len({name.split(".")[1] for name in shapes if name.startswith(f"layer{stage}.")}) for stage in (1, 2, 3, 4)
    )
    is_bottleneck = "layer1.0.conv3.weight" in shapes
    if (blocks, is_bottleneck) not in DEPTHS:
        raise _no_plain_resnet(architecture, f"its stages have {', '.join(map(str, blocks))} blocks")
    if not is_bottleneck and trunk == "c4":
        raise UsageError(
            f"detectron2's C4 detector is made of bottleneck blocks, as in resnet50, and {architecture} has none; take "
            "a deeper encoder or a task on FPN, or --engine torchvision."
        )
    middle, last = shapes["layer1.0.conv2.weight"], shapes[f"layer1.0.conv{3 if is_bottleneck else 2}.weight"]
    groups = middle[0] // middle[1]
    if not is_bottleneck and last[0] != 64:
        raise _no_plain_resnet(architecture, f"its first stage has {last[0]} channels")
    return ResNetShape(DEPTHS[blocks, is_bottleneck], is_bottleneck, last[0], groups, middle[0] // groups)


def find_places(encoder: Shapes, detector: Shapes, architecture: str, trunk: Trunk) -> dict[str, str]:
    """Where each of the encoder's tensors goes in the detector, by names.

    Args:
        encoder: Of a timm or torchvision ResNet without classifier.
        detector: Of detectron2's network.
        architecture: The encoder's, for the message.
        trunk: Of the detector.

    Raises:
        UsageError: a tensor has no place of its shape, or a layer that is not new would get no tensor.
    """
    places = {name: _with_prefix(detectron2_name(name), trunk) for name in encoder}
    for name, place in places.items():
        if detector.get(place) != encoder[name]:
            has = f"has the shape {detector[place]}" if place in detector else "does not exist"
            reason = f"its tensor {name} of shape {encoder[name]} belongs at {place}, which {has}"
            raise _no_plain_resnet(architecture, reason)
    filled = set(places.values())
    empty = [name for name in detector if name not in filled and not name.startswith(NEW_LAYERS[trunk])]
    if empty:
        raise _no_plain_resnet(architecture, f"nothing in it belongs at {empty[0]} and {len(empty) - 1} other places")
    return places


def _with_prefix(name: str, trunk: Trunk) -> str:
    if trunk == "fpn":
        return f"backbone.bottom_up.{name}"
    return f"roi_heads.{name}" if name.startswith("res5.") else f"backbone.{name}"


def _no_plain_resnet(architecture: str, reason: str) -> UsageError:
    return UsageError(
        f"The detectron2 engine takes plain ResNets and ResNeXts, and {architecture} is none: {reason}; "
        "--engine torchvision takes more."
    )
