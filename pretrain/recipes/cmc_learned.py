"""CMC on learned views: what the parts of a generator say of an image must agree, against all other images.

Published: of ResNets on ImageNet nothing that we know; the paper's small networks on STL-10 are another setting.
Measured here: not yet.
Cost: that of cmc_200; the generator, which stays as it is, adds a few 1 x 1 convolutions.

    goodviews pretrain cmc_learned --data PHOTOS --out runs/cmc --set objective.generator=runs/views

The generator comes from `goodviews views learn --data PHOTOS --out runs/views`.

Paper: Tian et al., "What Makes for Good Views for Contrastive Learning?", arXiv:2005.10243, section 5; the authors'
second stage is not public, so this is CMC as PyContrast has it (see cmc) with the generator's first channel for luma
and the other two for chroma. Both networks are published with the generator in their stem, as encoders that take RGB:
`encoder` and `encoder_chroma`. The recipe records the folder's name as it is given: give a relative one.
"""

from dataclasses import dataclass, replace

from ..models.memory_bank import Bank
from ..recipe import Recipe
from ..views.operations import ColorJitter, Flip, Normalize
from ..views.view import RandomResizedCrop, View
from .cmc import CrossBank, cmc_200, cmc_smoke


@dataclass(frozen=True)
class LearnedCrossBank(CrossBank):
    """CrossBank on the parts of a generator.

    generator: the RUN folder of `goodviews views learn`; empty for the raw channels, R against G and B.
    """

    generator: str = ""


def cmc_learned() -> Recipe:
    """cmc_200 on the parts of the generator in objective.generator; ours, not published."""
    return replace(cmc_200(), views=_views(px=224), objective=LearnedCrossBank(temperature=0.07))


def cmc_learned_smoke() -> Recipe:
    """Seconds on a CPU: shows that the parts fit; too short to learn anything."""
    memory = Bank(negatives=5, momentum=0.5, banks=2)
    return replace(cmc_smoke(), views=_views(px=32), objective=LearnedCrossBank(temperature=0.07), memory=memory)


def _views(*, px: int) -> tuple[View, ...]:
    """CMC's view, normalised as a generator expects it."""
    program = (Flip(p=0.5), ColorJitter(0.4, 0.4, 0.4, 0.1), Normalize())
    return (View("image", RandomResizedCrop(px, scale=(0.08, 1.0)), program),)
