"""RandAugment as InfoMin uses it: fifteen operations, each draw applied half of the time, magnitude close to its top.

A generic RandAugment is not equivalent: at magnitude 10 Solarize is the identity and every enhancement goes up to 1.9.

Source: Cubuk et al. 2019 (arXiv:1909.13719) in the variant of PyContrast, itself derived from timm.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from . import blur as blur_ops
from . import colour as colour_ops
from . import geometry as geometry_ops
from .per_image import change

_PER_DRAW = 5  # uniform numbers: which operation, applied or not, magnitude, sign, interpolation

# The arguments as functions of m, the magnitude's share of its maximum: (n,) float64 in [0, 1].
COLOUR_OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "auto_contrast": lambda images, m: colour_ops.autocontrast(images),
    "equalize": lambda images, m: colour_ops.equalize(images),
    "invert": lambda images, m: colour_ops.invert(images),
    "posterize": lambda images, m: colour_ops.posterize(images, (4 * m).trunc()),
    "solarize": lambda images, m: colour_ops.solarize(images, (256 * m).trunc()),
    "solarize_add": lambda images, m: colour_ops.solarize_add(images, (110 * m).trunc()),
    "color": lambda images, m: colour_ops.saturation(images, _enhancement(m)),
    "contrast": lambda images, m: colour_ops.contrast(images, _enhancement(m)),
    "brightness": lambda images, m: colour_ops.brightness(images, _enhancement(m)),
    "sharpness": lambda images, m: blur_ops.sharpness(images, _enhancement(m)),
}
# Here m carries a random sign, and the interpolation is drawn.
GEOMETRY_OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "rotate": lambda images, m, bicubic: geometry_ops.rotate(images, 30 * m, bicubic=bicubic),
    "shear_x": lambda images, m, bicubic: geometry_ops.shear(images, 0.3 * m, axis=3, bicubic=bicubic),
    "shear_y": lambda images, m, bicubic: geometry_ops.shear(images, 0.3 * m, axis=2, bicubic=bicubic),
    "translate_x": lambda images, m, bicubic: geometry_ops.translate(images, 0.45 * m, axis=3, bicubic=bicubic),
    "translate_y": lambda images, m, bicubic: geometry_ops.translate(images, 0.45 * m, axis=2, bicubic=bicubic),
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

    def __call__(self, batch: Tensor, uniforms: Tensor) -> Tensor:
        batch = batch.clone()
        for draw in uniforms.split(_PER_DRAW, dim=1):
            self._apply(batch, *draw.unbind(1))
        return batch

    def _apply(
        self, batch: Tensor, which: Tensor, applied: Tensor, strength: Tensor, sign: Tensor, cubic: Tensor
    ) -> None:
        kinds = (which * len(self.operations)).long()
        kinds = torch.where(applied < self.p, kinds, -1)
        m = (self.magnitude + self.mstd * torch.special.ndtri(strength)).clamp(0, 10) / 10
        signed = torch.where(sign < 0.5, -m, m)
        for kind, name in enumerate(self.operations):
            if name in COLOUR_OPERATIONS:
                change(batch, kinds == kind, COLOUR_OPERATIONS[name], m)
            elif name in GEOMETRY_OPERATIONS:
                for bicubic in (False, True):
                    chosen = (kinds == kind) & ((cubic >= 0.5) == bicubic)
                    change(batch, chosen, partial(GEOMETRY_OPERATIONS[name], bicubic=bicubic), signed)


def _enhancement(m: Tensor) -> Tensor:
    return 1.8 * m + 0.1
