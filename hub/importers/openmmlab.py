"""Checkpoints of OpenMMLab: OpenSelfSup, mmselfsup and mmpretrain; extracted backbones are plain torchvision files."""

from .layout import Branch, Drop, Layout, has

OPENMMLAB = Layout(
    name="openmmlab",
    title="OpenSelfSup, mmselfsup, mmpretrain",
    source="open-mmlab/mmselfsup@db861f3: mmselfsup/models/algorithms, tools/model_converters; "
    "open-mmlab/mmpretrain@ee7f2e8: mmpretrain/models/selfsup, configs/_base_/datasets/imagenet_bs32.py",
    recognise=has("backbone.conv1."),
    containers=("state_dict", ""),
    branches=(Branch(("backbone.",)),),
    drops=(
        Drop(r"(encoder_k|momentum_encoder|target_net)\.", "EMA copy"),
        Drop(r"(neck|head|predictor)\.", "head"),
        Drop(r"queue", "queue of keys"),
        Drop(r"data_preprocessor\.", "mean and deviation of photos in 0-255"),
    ),
)
