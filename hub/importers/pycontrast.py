"""PyContrast: InfoMin, InstDis, CMC, MoCo, PIRL and MoCo v2 by one program; and CMC's own program, which is refused."""

from ..preprocessing import Preprocessing
from ..ydbdr import MEAN, TO_YDBDR
from .layout import Branch, Drop, Layout, has

_SOURCE = (
    "HobbitLong/PyContrast@84f94ea: networks/build_backbone.py, datasets/util.py; linusericsson/ssl-transfer@416913f: "
    "download_and_prepare_models.py"
)
_HEADS = (
    Drop(r"head\d?\.", "projection head"),
    Drop(r"head\d?_jig\.", "projection head of the jigsaw branch"),
    Drop(r"jigsaw", "projection head of the jigsaw branch, by an older name"),
)

RGB = Layout(
    name="pycontrast",
    title="PyContrast: InfoMin, InstDis, MoCo, PIRL, MoCo v2",
    source=_SOURCE,
    recognise=has("encoder.conv1."),
    containers=("model",),
    branches=(Branch(("encoder.",)),),
    drops=_HEADS,
)

CMC = Layout(
    name="pycontrast-cmc",
    title="PyContrast: CMC",
    source=_SOURCE,
    recognise=has("encoder1.conv1.", "encoder2.conv1."),
    containers=("model",),
    branches=(
        Branch(("encoder1.",), colours=TO_YDBDR[:1]),
        Branch(("encoder2.",), folder="_chroma", colours=TO_YDBDR[1:]),
    ),
    drops=_HEADS,
    preprocessing=Preprocessing(mean=MEAN, std=(1.0, 1.0, 1.0)),
    remark="Two encoders, luma and chroma; their first convolutions take RGB, with the change to YDbDr in them. "
    "The authors use both features side by side.",
)

CMC_ORIGINAL = Layout(
    name="cmc",
    title="CMC by its own program",
    source="HobbitLong/CMC@7b227be: train_CMC.py, models/resnet.py",
    recognise=has("encoder.module.l_to_ab.", "encoder.module.ab_to_l."),
    containers=("model",),
    refusal="its branches take the L and ab channels of Lab, which no first convolution can make of RGB; "
    "PyContrast's CMC takes YDbDr and can be imported",
)
