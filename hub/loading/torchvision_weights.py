"""torchvision:NAME: the classification networks that torchvision publishes weights of."""

from typing import Any

import torchvision
from torch import Tensor

from ..backbone import build_backbone
from ..encoder import Encoder, Origin
from ..errors import UsageError
from ..preprocessing import Preprocessing
from ..weights import load_strictly
from .fetched import fetched


def load_torchvision(name: str) -> Encoder:
    """torchvision's and timm's ResNets have the same tensor names; the classifier `fc` alone is left behind."""
    architecture, _, tag = name.partition(".")
    try:
        weights = torchvision.models.get_model_weights(architecture)[tag or "DEFAULT"]
    except (ValueError, KeyError):
        raise UsageError(f"torchvision has no weights {name}; give e.g. torchvision:resnet50.IMAGENET1K_V2.") from None
    state = fetched(
        f"torchvision:{name}", lambda: weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    )
    without_head: dict[str, Tensor] = {
        key: value for key, value in state.items() if key not in {"fc.weight", "fc.bias"}
    }
    backbone = build_backbone(architecture)
    load_strictly(backbone, without_head, source=f"torchvision:{name}")
    transforms: Any = weights.transforms()
    crop_px, resize_px = transforms.crop_size[0], transforms.resize_size[0]
    preprocessing = Preprocessing(
        crop_px, crop_px / resize_px, transforms.interpolation.value, tuple(transforms.mean), tuple(transforms.std)
    )
    return Encoder(backbone, preprocessing, Origin(f"torchvision:{architecture}.{weights.name}", parent=weights.url))
