"""BYOL, Barlow Twins, VICReg and DINO.

Their released backbones are plain torchvision files, which nothing tells apart; the whole checkpoints are recognised by
their heads.
"""

from .layout import IMAGENET_BICUBIC, Branch, Drop, Layout, has, has_both, never

BYOL = Layout(
    name="byol",
    title="BYOL as ssl-transfer converts it",
    source="linusericsson/ssl-transfer@416913f: download_and_prepare_models.py; "
    "google-deepmind/deepmind-research@f5de0ed: byol/utils/dataset.py, byol/utils/networks.py",
    recognise=never,
    containers=("state_dict", ""),
    drops=(Drop(r"fc\.", "classifier, which the converter leaves random"),),
    preprocessing=IMAGENET_BICUBIC,
    remark="The original's strided convolutions begin at the photo's corner, PyTorch's one pixel before it: features "
    "are the converted network's, near the original's.",
)

BARLOW_TWINS = Layout(
    name="barlow-twins",
    title="Barlow Twins",
    source="facebookresearch/barlowtwins@8e8d284: main.py, evaluate.py, hubconf.py",
    recognise=has("backbone.conv1.", "projector.", "bn."),
    containers=("model", ""),
    branches=(Branch(("backbone.", "")),),
    drops=(Drop(r"projector\.", "projection head"), Drop(r"bn\.(?!\d)", "normalisation of the projections")),
)

VICREG = Layout(
    name="vicreg",
    title="VICReg",
    source="facebookresearch/vicreg@4e12602: main_vicreg.py, evaluate.py, hubconf.py, resnet.py",
    recognise=has("backbone.conv1.", "projector."),
    containers=("model", ""),
    branches=(Branch(("backbone.", "")),),
    drops=(Drop(r"projector\.", "projection head"),),
)

DINO = Layout(
    name="dino",
    title="DINO",
    source="facebookresearch/dino@7c446df: main_dino.py, utils.py, eval_linear.py, hubconf.py",
    recognise=has_both("backbone.conv1.", "head.mlp.", "head.last_layer."),
    containers=("teacher", "student", ""),
    branches=(Branch(("backbone.", "")),),
    drops=(Drop(r"head\.", "projection head"),),
    preprocessing=IMAGENET_BICUBIC,
    remark="The teacher's network, where the file has it; its authors evaluate that one.",
)
