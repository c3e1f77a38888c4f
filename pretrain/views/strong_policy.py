"""CLSA's strong augmentation: fourteen operations, five draws, each draw applied half of the time.

After an ordinary view has been made, this distorts it so far that a network trained to find its key would be misled.
The enhancements only ever reduce (factors 0.14 to 0.86), geometry takes the nearest pixel and leaves black borders.
No Cutout: the pool that has it is in the published file, unused. The magnitude is drawn for each application.

Source: maple-research-lab/CLSA, data_processing/RandAugment.py: the pool of Sohn et al. 2020 (FixMatch,
arXiv:2001.07685), appendix.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from . import blur, colour, geometry_nearest
from .change import Change, Scaled, unchanged

LEVELS = 9  # whole magnitudes 1 to 9: the published draw leaves out its upper bound, 10
_PER_DRAW = 4  # uniform numbers: which operation, applied or not, magnitude, sign
_NONE = -1  # instead of an operation's place in the list: the draw is not applied

# The amounts as functions of v, the magnitude: (n,) float64, whole numbers.
COLOUR_OPERATIONS: dict[str, Scaled] = {
    "auto_contrast": Scaled(colour.autocontrast),
    "brightness": Scaled(colour.brightness, lambda v, px: _reduction(v)),
    "color": Scaled(colour.saturation, lambda v, px: _reduction(v)),
    "contrast": Scaled(colour.contrast, lambda v, px: _reduction(v)),
    "equalize": Scaled(colour.equalize),
    "identity": Scaled(unchanged),
    "posterize": Scaled(colour.posterize, lambda v, px: 4 + (4 * v / 10).trunc()),
    "sharpness": Scaled(blur.sharpness, lambda v, px: _reduction(v)),
    "solarize": Scaled(colour.solarize, lambda v, px: 256 - (256 * v / 10).trunc()),
}
# Here v carries a random sign.
GEOMETRY_OPERATIONS: dict[str, Scaled] = {
    "rotate": Scaled(geometry_nearest.rotate, lambda v, px: 3 * v),
    "shear_x": Scaled(geometry_nearest.shear, lambda v, px: 3 * v / 100, {"axis": 3}),
    "shear_y": Scaled(geometry_nearest.shear, lambda v, px: 3 * v / 100, {"axis": 2}),
    "translate_x": Scaled(geometry_nearest.translate, lambda v, px: _three_percent(v, px), {"axis": 3}),
    "translate_y": Scaled(geometry_nearest.translate, lambda v, px: _three_percent(v, px), {"axis": 2}),
}


@dataclass(frozen=True)
class StrongPolicy:
    """Draw some of the operations above with replacement; apply each with probability p."""

    draws: int = 5
    p: float = 0.5

    @property
    def width(self) -> int:
        return _PER_DRAW * self.draws

    def changes(self, uniforms: Tensor) -> Iterator[Change]:
        for draw in uniforms.split(_PER_DRAW, dim=1):
            yield from self._one_draw(*draw.unbind(1))

    def _one_draw(self, which: Tensor, applied: Tensor, strength: Tensor, sign: Tensor) -> Iterator[Change]:
        names = (*COLOUR_OPERATIONS, *GEOMETRY_OPERATIONS)
        kinds = (which * len(names)).long()
        kinds = torch.where(applied < self.p, kinds, _NONE)
        v = 1 + (strength * LEVELS).floor()
        signed = torch.where(sign < 0.5, -v, v)
        for kind in sorted({*kinds.tolist()} - {_NONE}):
            name, where = names[kind], kinds == kind
            if name in COLOUR_OPERATIONS:
                yield Change(COLOUR_OPERATIONS[name], (v,), where)
            else:
                yield Change(GEOMETRY_OPERATIONS[name], (signed,), where)


def _reduction(v: Tensor) -> Tensor:
    return 0.09 * v + 0.05


def _three_percent(v: Tensor, side_px: int) -> Tensor:
    """Three percent of the side for each unit of magnitude, cut to whole pixels."""
    return (3 * v * side_px / 100).trunc()
