"""A toy set whose best split into views is known: digits that three hidden channels of the colours do not all show.

A first and a second hidden channel show the same digit, each before a photo of its own; a third shows a photo only. The
colours are a fixed mixture of the three. So the raw channels share the photos and the digit; unmixed, the first hidden
channel and the other two share the digit alone: the sweet spot for the task of naming it. A generator that learns
views well finds a split that is about as good.
"""

import torch
from torch import Tensor, nn

from ...hub.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from .photo_arrays import PhotoSet, SplitPhotos
from .toy import DIGITS, draw_factors, ink, scenes

MIX = ((0.6, 0.25, 0.15), (0.25, 0.6, 0.15), (0.2, 0.2, 0.6))  # rows: R, G, B; of the first, second, third channel


class Unmixed(nn.Module):
    """Normalised RGB (N, 3, H, W) -> the hidden channels: what an ideal generator gives."""

    def forward(self, images: Tensor) -> Tensor:
        mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (IMAGENET_MEAN, IMAGENET_STD))
        return torch.einsum("hc,ncij->nhij", torch.linalg.inv(torch.tensor(MIX)), images * std + mean)


def mixed_photos(*, px: int, train: int, test: int, seed: int) -> SplitPhotos:
    """Images, labelled by their digit."""
    parts = [_part(count, px, seed + number, is_test=bool(number)) for number, count in enumerate((train, test))]
    about = {"name": "digits in mixed channels", "train": train, "test": test, "px": px, "digest": f"mixed-{seed}"}
    return SplitPhotos(parts[0], parts[1], {"class": DIGITS}, about)


def _part(count: int, px: int, seed: int, *, is_test: bool) -> PhotoSet:
    generator = torch.Generator().manual_seed(seed)
    factors = draw_factors(count, generator)
    mask = ink(factors, px, generator, is_test=is_test)
    hidden = []
    for shows_digit in (True, True, False):
        scene = scenes(draw_factors(count, generator), px, generator).mean(dim=1)
        hidden.append(scene * (1 - mask) + 255 * mask if shows_digit else scene)
    mixed = torch.einsum("ch,nhij->ncij", torch.tensor(MIX), torch.stack(hidden, dim=1))
    return PhotoSet(mixed.round().to(torch.uint8), {"class": factors["digit"]})
