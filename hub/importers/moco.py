"""MoCo v1 and v2 and the programs made from theirs, CLSA and PCL; MoCo v3."""

from .layout import Branch, Drop, Layout, has

MOCO = Layout(
    name="moco",
    title="MoCo v1 and v2, CLSA, PCL",
    source="facebookresearch/moco: README.md, main_lincls.py; maple-research-lab/CLSA@37df76c: lincls.py, "
    "model/CLSA.py; salesforce/PCL@964da1f: eval_cls_imagenet.py, pcl/builder.py",
    recognise=has("encoder_q.conv1."),
    branches=(Branch(("encoder_q.",)),),
    drops=(
        Drop(r"encoder_q\.fc\.", "projection head, no classifier"),
        Drop(r"encoder_k\.", "EMA copy that makes the keys"),
        Drop(r"queue", "queue of keys"),
    ),
)

MOCO_V3 = Layout(
    name="moco-v3",
    title="MoCo v3",
    source="facebookresearch/moco-v3@c349e6e: main_lincls.py, moco/builder.py",
    recognise=has("base_encoder.conv1.", "momentum_encoder."),
    branches=(Branch(("base_encoder.",)),),
    drops=(
        Drop(r"base_encoder\.fc\.", "projection head, no classifier"),
        Drop(r"momentum_encoder\.", "EMA copy that makes the keys"),
        Drop(r"predictor\.", "predictor"),
    ),
)
