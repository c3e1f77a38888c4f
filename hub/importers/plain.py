"""Plain files: torchvision's and timm's tensor names without any prefix, which many programs write."""

from .layout import Drop, Layout, has, never

_DROPS = (Drop(r"fc\.", "classifier or projection head"),)

TORCHVISION = Layout(
    name="torchvision",
    title="torchvision's names",
    source="torchvision.models.resnet; pytorch/examples: imagenet/main.py",
    recognise=has("conv1.weight", "layer1.0.conv1.weight"),
    containers=("state_dict", "model", ""),
    drops=_DROPS,
    remark="Nothing in such a file says how its photos were prepared: ImageNet's mean and deviation, bilinear, are "
    "assumed. Backbones of SimCLR, BYOL, DINO, Barlow Twins and VICReg look alike; name them by --format.",
)

TIMM = Layout(
    name="timm",
    title="timm's names",
    source="timm.models._helpers, timm.models.resnet",
    recognise=never,
    containers=("state_dict_ema", "state_dict", "model", ""),
    drops=(Drop(r"(fc|head|classifier)\.", "classifier"),),
    remark="Nothing in such a file says how its photos were prepared: ImageNet's mean and deviation, bilinear, are "
    "assumed. A repository on the Hub says it: load hf-hub:OWNER/NAME instead.",
)
