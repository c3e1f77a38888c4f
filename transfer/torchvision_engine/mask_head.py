"""The mask head: its last layers, its loss and targets, and how a predicted mask becomes pixels of the photo."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import roi_align

if TYPE_CHECKING:
    from ..datasets.labelled_photos import Mask, Rle

MASK_CHANNELS = 256
THRESHOLD = 0.5  # of the probability that a pixel belongs to the object


class MaskPredictor(nn.Sequential):
    """(n, channels, h, w) -> (n, classes, 2 h, 2 w) logits: maps of twice the size, then a mask for each class."""

    def __init__(self, channels: int, hidden: int, classes: int):
        doubled, logits = nn.ConvTranspose2d(channels, hidden, 2, 2), nn.Conv2d(hidden, classes, 1)
        super().__init__(OrderedDict({"doubled": doubled, "relu": nn.ReLU(inplace=True), "logits": logits}))
        nn.init.kaiming_normal_(doubled.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(logits.weight, std=0.001)
        for layer in (doubled, logits):
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


def mask_loss(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy, in nats a pixel, of each object by the mask of its own class.

    Args:
        logits: (n, classes, m, m).
        labels: (n,) from 1.
        targets: (n, m, m) of 0 and 1.

    Source: He et al. 2017 (arXiv:1703.06870), section 3.
    """
    own = logits[torch.arange(len(labels), device=labels.device), labels - 1]
    loss = F.binary_cross_entropy_with_logits(own, targets.to(own), reduction="sum")
    return loss / max(own.numel(), 1)  # 0 without an object, where the mean is NaN


def mask_targets(masks: Sequence[Mask], boxes: Tensor, side: int) -> Tensor:
    """(n, side, side) of 0 and 1: the part of each mask in its box, at that size.

    Polygons are rasterised in the box by COCO's rules; run lengths are cut out of the pixels by RoIAlign.

    Args:
        masks: n, in the frame of the photo as the network sees it.
        boxes: (n, 4) in that frame.
        side: In pixels.
    """
    targets = [_mask_target(mask, box, side) for mask, box in zip(masks, boxes.detach().cpu().double(), strict=True)]
    return torch.stack(targets).float() if targets else torch.zeros(0, side, side)


def paste_masks(probabilities: Tensor, boxes: np.ndarray, height: int, width: int) -> tuple[Rle, ...]:
    """Masks of the photo's size.

    Args:
        probabilities: (n, m, m) in 0-1, of a pixel of the box to belong to the object.
        boxes: (n, 4) in pixels of the photo.
        height: Of the photo.
        width: Of the photo.
    """
    from ..datasets.masks import encode

    return tuple(encode(_paste(one, box, height, width)) for one, box in zip(probabilities.cpu().float(), boxes))


def _mask_target(mask: Mask, box: Tensor, side: int) -> Tensor:
    from ..datasets.labelled_photos import Rle
    from ..datasets.masks import decode

    if isinstance(mask, Rle):
        pixels = torch.from_numpy(decode(mask, *mask.size))[None, None].float()
        return roi_align(pixels, [box[None].float()], side, 1.0, sampling_ratio=0, aligned=True)[0, 0] >= THRESHOLD
    start, size = box[:2].numpy(), np.maximum((box[2:] - box[:2]).numpy(), 0.1)
    in_box = ((np.asarray(polygon).reshape(-1, 2) - start) * (side / size) for polygon in mask)
    return torch.from_numpy(decode(tuple(tuple(polygon.ravel().tolist()) for polygon in in_box), side, side))


def _paste(probabilities: Tensor, box: np.ndarray, height: int, width: int) -> np.ndarray:
    """(height, width) bool; pixels are looked up at their centres, between those of the (m, m) grid."""
    pixels = np.zeros((height, width), bool)
    left, top = np.maximum(np.floor(box[:2]).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(box[2:]).astype(int) + 1, (width, height))
    across, down = (
        torch.from_numpy(2 * (np.arange(low, high) + 0.5 - start) / max(stop - start, 1e-6) - 1).float()
        for low, high, start, stop in ((left, right, box[0], box[2]), (top, bottom, box[1], box[3]))
    )
    grid = torch.stack(torch.meshgrid(across, down, indexing="xy"), dim=-1)[None]
    values = F.grid_sample(probabilities[None, None], grid, align_corners=False)[0, 0]
    pixels[top:bottom, left:right] = (values >= THRESHOLD).numpy()
    return pixels
