"""CLSA's strong augmentation: fourteen operations, five draws, each draw applied half of the time.

After an ordinary view has been made, this distorts it so far that a network trained to find its key would be misled.
The enhancements only ever reduce (factors 0.14 to 0.86), geometry takes the nearest pixel and leaves black borders.
No Cutout: the pool that has it is in the published file, unused. The magnitude is drawn for each application.

Source: maple-research-lab/CLSA, data_processing/RandAugment.py: the pool of Sohn et al. 2020 (FixMatch,
arXiv:2001.07685), appendix.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from . import blur as blur_ops
from . import colour as colour_ops
from . import geometry_nearest as nearest_ops
from .per_image import change

LEVELS = 9  # whole magnitudes 1 to 9: the published draw leaves out its upper bound, 10
_PER_DRAW = 4  # uniform numbers: which operation, applied or not, magnitude, sign

# The arguments as functions of v, the magnitude: (n,) float64, whole numbers.
COLOUR_OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "auto_contrast": lambda images, v: colour_ops.autocontrast(images),
    "brightness": lambda images, v: colour_ops.brightness(images, _reduction(v)),
    "color": lambda images, v: colour_ops.saturation(images, _reduction(v)),
    "contrast": lambda images, v: colour_ops.contrast(images, _reduction(v)),
    "equalize": lambda images, v: colour_ops.equalize(images),
    "identity": lambda images, v: images,
    "posterize": lambda images, v: colour_ops.posterize(images, 4 + (4 * v / 10).trunc()),
    "sharpness": lambda images, v: blur_ops.sharpness(images, _reduction(v)),
    "solarize": lambda images, v: colour_ops.solarize(images, 256 - (256 * v / 10).trunc()),
}
# Here v carries a random sign.
GEOMETRY_OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "rotate": lambda images, v: nearest_ops.rotate(images, 3 * v),
    "shear_x": lambda images, v: nearest_ops.shear(images, 3 * v / 100, axis=3),
    "shear_y": lambda images, v: nearest_ops.shear(images, 3 * v / 100, axis=2),
    "translate_x": lambda images, v: nearest_ops.translate(images, _three_percent(v, images.shape[3]), axis=3),
    "translate_y": lambda images, v: nearest_ops.translate(images, _three_percent(v, images.shape[2]), axis=2),
}


@dataclass(frozen=True)
class StrongPolicy:
    """Draw some of the operations above with replacement; apply each with probability p."""

    draws: int = 5
    p: float = 0.5

    @property
    def width(self) -> int:
        return _PER_DRAW * self.draws

    def __call__(self, batch: Tensor, uniforms: Tensor) -> Tensor:
        batch = batch.clone()
        for draw in uniforms.split(_PER_DRAW, dim=1):
            self._apply(batch, *draw.unbind(1))
        return batch

    def _apply(self, batch: Tensor, which: Tensor, applied: Tensor, strength: Tensor, sign: Tensor) -> None:
        kinds = (which * (len(COLOUR_OPERATIONS) + len(GEOMETRY_OPERATIONS))).long()
        kinds = torch.where(applied < self.p, kinds, -1)
        v = 1 + (strength * LEVELS).floor()
        for kind, recolour in enumerate(COLOUR_OPERATIONS.values()):
            change(batch, kinds == kind, recolour, v)
        signed = torch.where(sign < 0.5, -v, v)
        for kind, move in enumerate(GEOMETRY_OPERATIONS.values(), start=len(COLOUR_OPERATIONS)):
            change(batch, kinds == kind, move, signed)


def _reduction(v: Tensor) -> Tensor:
    return 0.09 * v + 0.05


def _three_percent(v: Tensor, side_px: int) -> Tensor:
    """Three percent of the side for each unit of magnitude, cut to whole pixels."""
    return (3 * v * side_px / 100).trunc()
