"""SwAV's program, which also trained DeepCluster v2 and SeLa v2."""

from ..preprocessing import IMAGENET_MEAN, Preprocessing
from .layout import Drop, Layout, has

SWAV = Layout(
    name="swav",
    title="SwAV, DeepCluster v2, SeLa v2",
    source="facebookresearch/swav@06b1b7c: hubconf.py, eval_linear.py, src/resnet50.py",
    recognise=has("projection_head.", "conv1.weight"),
    containers=("state_dict", ""),
    drops=(Drop(r"projection_head\.", "projection head"), Drop(r"prototypes", "prototypes")),
    preprocessing=Preprocessing(mean=IMAGENET_MEAN, std=(0.228, 0.224, 0.225)),
    remark="Its first standard deviation is 0.228, where most others have 0.229.",
)
