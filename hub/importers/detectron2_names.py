"""detectron2's names of a ResNet's tensors, there and back, and its files of backbones; torch is not imported.

A backbone's file holds {"model": ..., "__author__": ..., "matching_heuristics": True}. Its numbers are torchvision's,
unchanged: RGB, and a stride in the 3 x 3 convolution.
"""

import re

from .layout import Drop, Layout, has

DETECTRON2 = Layout(
    name="detectron2",
    title="detectron2, a converted backbone",
    source="facebookresearch/detectron2@02b5c4e: tools/convert-torchvision-to-d2.py, detectron2/checkpoint; "
    "vturrisi/solo-learn@9187ea3: downstream/object_detection/convert_model_to_detectron2.py",
    recognise=has("stem.conv1.weight", "res2.0.conv1.weight"),
    containers=("model",),
    rename=(
        (r"^stem\.", ""),
        (r"^res2\.", "layer1."),
        (r"^res3\.", "layer2."),
        (r"^res4\.", "layer3."),
        (r"^res5\.", "layer4."),
        (r"\bconv([123])\.norm\.", r"bn\1."),
        (r"\bshortcut\.norm\.", "downsample.1."),
        (r"\bshortcut\.", "downsample.0."),
    ),
    drops=(Drop(r"stem\.(fc|head)\.", "classifier or head, which converters carry along"),),
    remark="Taken as RGB with ImageNet's mean and deviation, as converters write it; detectron2's own MSRA weights are "
    "of another network.",
)


def detectron2_name(name: str) -> str:
    """A ResNet tensor's name there: layer1.0.downsample.1.bias -> res2.0.shortcut.norm.bias."""
    name = re.sub(r"^layer(\d)", lambda found: f"res{int(found[1]) + 1}", name)
    name = name if name.startswith("res") else f"stem.{name}"
    name = re.sub(r"\bbn([123])\b", r"conv\1.norm", name)
    return name.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")
