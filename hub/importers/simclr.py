"""SimCLR's TensorFlow checkpoints as two converters write them for PyTorch. Their photos are in 0-1, not normalised.

The original's pooling after the stem begins at the photo's corner, PyTorch's one pixel before it; the converted
networks, whose accuracy the converters state, pool as PyTorch does, and so does the imported encoder.
"""

from collections.abc import Sequence

from ..preprocessing import Preprocessing
from .layout import Drop, Layout, has

_NOT_NORMALISED = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
_V2_SOURCE = "Separius/SimCLRv2-Pytorch@f4c2f41: convert.py, resnet.py, verify.py"
_V2_BLOCK = r"^net\.([1-4])\.blocks\.(\d+)\."


def _puts_the_shortcut_first(names: Sequence[str]) -> bool:
    """Each block of this converter's network names its shortcut before its convolutions; nobody else's does."""
    places = {name: place for place, name in enumerate(names)}
    shortcut, first = places.get("layer1.0.downsample.0.weight"), places.get("layer1.0.conv1.weight")
    return shortcut is not None and first is not None and shortcut < first and "fc.weight" in places


V1 = Layout(
    name="simclr",
    title="SimCLR v1 by simclr-converter",
    source="tonylins/simclr-converter@139d3cb: README.md, convert.py, resnet_wider.py",
    recognise=_puts_the_shortcut_first,
    containers=("state_dict", ""),
    drops=(Drop(r"fc\.", "classifier; the converter leaves its bias random"),),
    preprocessing=_NOT_NORMALISED,
)

V2 = Layout(
    name="simclr-v2",
    title="SimCLR v2 by SimCLRv2-Pytorch",
    source=_V2_SOURCE,
    recognise=has("net.0.0.weight", "net.1.blocks.0.net.0.weight"),
    containers=("resnet",),
    rename=(
        (r"^net\.0\.0\.", "conv1."),
        (r"^net\.0\.1\.0\.", "bn1."),
        (_V2_BLOCK + r"projection\.shortcut\.", r"layer\1.\2.downsample.0."),
        (_V2_BLOCK + r"projection\.bn\.0\.", r"layer\1.\2.downsample.1."),
        (_V2_BLOCK + r"net\.0\.", r"layer\1.\2.conv1."),
        (_V2_BLOCK + r"net\.1\.0\.", r"layer\1.\2.bn1."),
        (_V2_BLOCK + r"net\.2\.", r"layer\1.\2.conv2."),
        (_V2_BLOCK + r"net\.3\.0\.", r"layer\1.\2.bn2."),
        (_V2_BLOCK + r"net\.4\.", r"layer\1.\2.conv3."),
        (_V2_BLOCK + r"net\.5\.0\.", r"layer\1.\2.bn3."),
    ),
    drops=(Drop(r"fc\.", "classifier"),),
    preprocessing=_NOT_NORMALISED,
)

V2_SELECTIVE = Layout(
    name="simclr-v2-sk",
    title="SimCLR v2 with selective kernels",
    source=_V2_SOURCE,
    recognise=has("net.1.blocks.0.net.2.main_conv."),
    containers=("resnet",),
    refusal="its blocks have selective kernels, which no ResNet here has; take a checkpoint whose name has sk0",
)
