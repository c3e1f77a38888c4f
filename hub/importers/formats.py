"""The table of formats, in the order in which a file is held against them: those with the most marks first."""

from collections.abc import Sequence

from ..errors import UsageError
from . import lightly, moco, openmmlab, plain, pycontrast, simclr, solo_learn, swav, vissl, without_negatives
from .detectron2_names import DETECTRON2
from .layout import Layout

_LAYOUTS = (
    pycontrast.RGB,
    pycontrast.CMC,
    pycontrast.CMC_ORIGINAL,
    moco.MOCO,
    moco.MOCO_V3,
    swav.SWAV,
    simclr.V2_SELECTIVE,
    simclr.V2,
    simclr.V1,
    without_negatives.BARLOW_TWINS,
    without_negatives.VICREG,
    without_negatives.DINO,
    vissl.VISSL,
    lightly.LIGHTLY_SMALL,
    lightly.LIGHTLY,
    solo_learn.SOLO_LEARN,
    openmmlab.OPENMMLAB,
    DETECTRON2,
    plain.TORCHVISION,
    plain.TIMM,
    without_negatives.BYOL,
)
FORMATS = {layout.name: layout for layout in _LAYOUTS}


def choose_format(name: str) -> Layout:
    """The layout of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in FORMATS:
        raise UsageError(f"There is no format {name}; give auto or one of {', '.join(readable())}.")
    return FORMATS[name]


def readable() -> Sequence[str]:
    """Names of the formats that can be imported."""
    return [name for name, layout in FORMATS.items() if not layout.refusal]
