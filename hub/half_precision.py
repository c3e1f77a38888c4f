"""An encoder whose weights take half the room: rounded to float16 on disk, float32 in memory."""

from copy import deepcopy

import torch

from .encoder import Encoder
from .weights import refuse_odd_weights


def halve(encoder: Encoder) -> Encoder:
    """A copy with every weight rounded to float16; its folder's file is half as large, its vectors nearly the same.

    Everything but the weights stays as it is: name, origin and preprocessing.

    Raises:
        ArtifactError: a weight is beyond float16's range of 65,504.
    """
    backbone = deepcopy(encoder.backbone)
    rounded = {
        name: tensor.half().to(tensor.dtype) if tensor.is_floating_point() else tensor
        for name, tensor in backbone.state_dict().items()
    }
    refuse_odd_weights(rounded, source="An encoder in float16")
    with torch.no_grad():
        backbone.load_state_dict(rounded)
    return Encoder(backbone, encoder.preprocessing, encoder.origin, half=True)
