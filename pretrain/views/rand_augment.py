"""RandAugment as InfoMin uses it: fifteen operations, each draw applied half of the time, magnitude close to its top.

A generic RandAugment is not equivalent: at magnitude 10 Solarize is the identity and every enhancement goes up to 1.9.

Source: Cubuk et al. 2019 (arXiv:1909.13719) in the variant of PyContrast, itself derived from timm.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from . import blur, colour, geometry
from .change import Change

_PER_DRAW = 5  # uniform numbers: which operation, applied or not, magnitude, sign, interpolation
_NONE = -1  # instead of an operation's place in the list: the draw is not applied

# The arguments as functions of m, the magnitude's share of its maximum: (n,) float64 in [0, 1].
COLOUR_OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "auto_contrast": lambda images, m: colour.autocontrast(images),
    "equalize": lambda images, m: colour.equalize(images),
    "invert": lambda images, m: colour.invert(images),
    "posterize": lambda images, m: colour.posterize(images, (4 * m).trunc()),
    "solarize": lambda images, m: colour.solarize(images, (256 * m).trunc()),
    "solarize_add": lambda images, m: colour.solarize_add(images, (110 * m).trunc()),
    "color": lambda images, m: colour.saturation(images, _enhancement(m)),
    "contrast": lambda images, m: colour.contrast(images, _enhancement(m)),
    "brightness": lambda images, m: colour.brightness(images, _enhancement(m)),
    "sharpness": lambda images, m: blur.sharpness(images, _enhancement(m)),
}
# Here m carries a random sign, and the interpolation is drawn.
GEOMETRY_OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "rotate": lambda images, m, bicubic: geometry.rotate(images, 30 * m, bicubic=bicubic),
    "shear_x": lambda images, m, bicubic: geometry.shear(images, 0.3 * m, axis=3, bicubic=bicubic),
    "shear_y": lambda images, m, bicubic: geometry.shear(images, 0.3 * m, axis=2, bicubic=bicubic),
    "translate_x": lambda images, m, bicubic: geometry.translate(images, 0.45 * m, axis=3, bicubic=bicubic),
    "translate_y": lambda images, m, bicubic: geometry.translate(images, 0.45 * m, axis=2, bicubic=bicubic),
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
