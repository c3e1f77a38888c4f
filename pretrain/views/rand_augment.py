"""RandAugment as InfoMin uses it: fifteen operations, each draw applied half of the time, magnitude close to its top.

A generic RandAugment is not equivalent: at magnitude 10 Solarize is the identity and every enhancement goes up to 1.9.

Source: Cubuk et al. 2019 (arXiv:1909.13719) in the variant of PyContrast, itself derived from timm.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from . import blur, colour, geometry
from .change import Change, Scaled

_PER_DRAW = 5  # uniform numbers: which operation, applied or not, magnitude, sign, interpolation
_NONE = -1  # instead of an operation's place in the list: the draw is not applied

# The amounts as functions of m, the magnitude's share of its maximum: (n,) float64 in [0, 1].
COLOUR_OPERATIONS: dict[str, Scaled] = {
    "auto_contrast": Scaled(colour.autocontrast),
    "equalize": Scaled(colour.equalize),
    "invert": Scaled(colour.invert),
    "posterize": Scaled(colour.posterize, lambda m, px: (4 * m).trunc()),
    "solarize": Scaled(colour.solarize, lambda m, px: (256 * m).trunc()),
    "solarize_add": Scaled(colour.solarize_add, lambda m, px: (110 * m).trunc()),
    "color": Scaled(colour.saturation, lambda m, px: _enhancement(m)),
    "contrast": Scaled(colour.contrast, lambda m, px: _enhancement(m)),
    "brightness": Scaled(colour.brightness, lambda m, px: _enhancement(m)),
    "sharpness": Scaled(blur.sharpness, lambda m, px: _enhancement(m)),
}
# Here m carries a random sign, and the interpolation is drawn.
GEOMETRY_OPERATIONS: dict[str, Scaled] = {
    "rotate": Scaled(geometry.rotate, lambda m, px: 30 * m),
    "shear_x": Scaled(geometry.shear, lambda m, px: 0.3 * m, {"axis": 3}),
    "shear_y": Scaled(geometry.shear, lambda m, px: 0.3 * m, {"axis": 2}),
    "translate_x": Scaled(geometry.translate, lambda m, px: 0.45 * m, {"axis": 3}),
    "translate_y": Scaled(geometry.translate, lambda m, px: 0.45 * m, {"axis": 2}),
}
FIFTEEN = (*COLOUR_OPERATIONS, *GEOMETRY_OPERATIONS)
EIGHT = ("auto_contrast", "identity", "rotate", "sharpness", "shear_x", "shear_y", "translate_x", "translate_y")


@dataclass(frozen=True)
class RandAugment:
    """Draw n operations with replacement; apply each with probability p.

    Args:
        magnitude: mean of the strength of each application, 0-10.
        mstd: its standard deviation; what is drawn is cut to 0-10.
        operations: what is drawn from: names of the above, or "identity". FIFTEEN is InfoMin's list, EIGHT that of
            methods that contrast luma and chroma.
    """

    n: int = 2
    magnitude: float = 10.0
    mstd: float = 0.5
    p: float = 0.5
    operations: tuple[str, ...] = FIFTEEN

    @property
    def width(self) -> int:
        return _PER_DRAW * self.n

    def changes(self, uniforms: Tensor) -> Iterator[Change]:
        for draw in uniforms.split(_PER_DRAW, dim=1):
            yield from self._one_draw(*draw.unbind(1))

    def _one_draw(
        self, which: Tensor, applied: Tensor, strength: Tensor, sign: Tensor, cubic: Tensor
    ) -> Iterator[Change]:
        kinds = (which * len(self.operations)).long()
        kinds = torch.where(applied < self.p, kinds, _NONE)
        m = (self.magnitude + self.mstd * torch.special.ndtri(strength)).clamp(0, 10) / 10
        signed = torch.where(sign < 0.5, -m, m)
        for kind in sorted({*kinds.tolist()} - {_NONE}):
            name, where = self.operations[kind], kinds == kind
            if name in COLOUR_OPERATIONS:
                yield Change(COLOUR_OPERATIONS[name], (m,), where)
            elif name in GEOMETRY_OPERATIONS:
                for bicubic in (False, True):
                    move = partial(GEOMETRY_OPERATIONS[name], bicubic=bicubic)
                    yield Change(move, (signed,), where & ((cubic >= 0.5) == bicubic))


def _enhancement(m: Tensor) -> Tensor:
    return 1.8 * m + 0.1
