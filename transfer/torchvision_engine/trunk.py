"""What both detectors stand on: a copy of the encoder's ResNet, and photos in the form that it takes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from timm.models.resnet import ResNet
from torch import Tensor, nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from ...hub.errors import UsageError

if TYPE_CHECKING:
    from ...hub.preprocessing import Preprocessing

STRIDES = (4, 8, 16, 32)  # of a ResNet's four stages


def copy_resnet(backbone: nn.Module) -> ResNet:
    """A copy of an encoder's backbone to build a detector on.

    Raises:
        UsageError: it is not a ResNet, or one with other strides.
    """
    name = getattr(backbone, "pretrained_cfg", {}).get("architecture", type(backbone).__name__)
    if not isinstance(backbone, ResNet):
        raise UsageError(f"Detection is defined for ResNet encoders, such as resnet18 or resnet50; this one is {name}.")
    if backbone.feature_info[3]["reduction"] != STRIDES[2] or isinstance(backbone.maxpool, nn.Identity):
        raise UsageError(
            f"Detection needs an encoder with stride {STRIDES[2]} after its third stage; {name} as built here has "
            "another."
        )
    return copy.deepcopy(backbone)


def stage_channels(net: ResNet) -> tuple[int, ...]:
    """Channels after each of the four stages."""
    return tuple(int(stage["num_chs"]) for stage in net.feature_info[1:])  # type: ignore[call-overload]


class NormalizeAndPad(GeneralizedRCNNTransform):
    """torchvision's first step without its resizing: Pillow resized the photos already, antialiased."""

    def __init__(self, preprocessing: Preprocessing, multiple_of: int):
        super().__init__(0, 0, list(preprocessing.mean), list(preprocessing.std), size_divisible=multiple_of)

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        return image, target
