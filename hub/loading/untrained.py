"""random:NAME: the untrained network that every result should be compared with."""

import re

import torch

from ..backbone import build_backbone
from ..encoder import Encoder, Origin
from ..errors import UsageError
from ..preprocessing import Preprocessing


def make_untrained(name: str) -> Encoder:
    """The size belongs to the name: a baseline must see images as large as the encoder it is compared with."""
    found = re.fullmatch(r"([^@]+?)(?:-w(\d+(?:\.\d+)?))?(?:-(\d+)px)?(?:@(\d+))?", name)
    if found is None:
        raise UsageError(f"random:{name} is not of the form random:ARCHITECTURE[-wWIDTH][-SIZEpx][@SEED].")
    architecture, width, px, seed = found.groups()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seed or 0))
        backbone = build_backbone(architecture, width=float(width or 1))
    return Encoder(backbone, Preprocessing(input_px=int(px or 224)), Origin(f"random:{name}"))
