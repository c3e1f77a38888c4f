"""random:NAME: the untrained network that every result should be compared with."""

import re

import torch

from ..backbone import build_backbone
from ..encoder import Encoder, Origin
from ..errors import UsageError
from ..preprocessing import Preprocessing

_WIDTHS = (1 / 16, 16)  # times the published channels
_MOST_PX = 4096


def make_untrained(name: str) -> Encoder:
    """The size belongs to the name: a baseline must see images as large as the encoder it is compared with."""
    found = re.fullmatch(r"([^@]+?)(?:-w(\d+(?:\.\d+)?))?(?:-(\d+)px)?(?:@(\d+))?", name)
    if found is None:
        raise UsageError(f"random:{name} is not of the form random:ARCHITECTURE[-wWIDTH][-SIZEpx][@SEED].")
    architecture, width, px, seed = found.groups()
    if not _WIDTHS[0] <= float(width or 1) <= _WIDTHS[1]:
        raise UsageError(f"random:{name} has a width of {width}; give one from {_WIDTHS[0]:g} to {_WIDTHS[1]:g}.")
    if not 1 <= int(px or 1) <= _MOST_PX:
        raise UsageError(f"random:{name} takes photos of {px} px; give a size from 1 to {_MOST_PX}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seed or 0))
        backbone = build_backbone(architecture, width=float(width or 1))
    return Encoder(backbone, Preprocessing(input_px=int(px or 224)), Origin(f"random:{name}"))
