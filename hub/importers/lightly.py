"""lightly's checkpoints: its ImageNet benchmarks, whose backbones are torchvision's, in both ways of naming them."""

from .layout import Branch, Drop, Layout, has, has_both

LIGHTLY = Layout(
    name="lightly",
    title="lightly",
    source="lightly-ai/lightly@e8d317f: benchmarks/imagenet/resnet50, "
    "docs/source/getting_started/benchmarks/imagenette_benchmark.py",
    recognise=has_both(
        "backbone.",
        "projection_head.",
        "online_classifier.",
        "key_backbone.",
        "teacher_backbone.",
        "student_backbone.",
        "backbone_momentum.",
    ),
    branches=(Branch(("backbone.",)),),
    rename=(  # the children of torchvision's ResNet, counted
        (r"^0\.", "conv1."),
        (r"^1\.", "bn1."),
        (r"^4\.", "layer1."),
        (r"^5\.", "layer2."),
        (r"^6\.", "layer3."),
        (r"^7\.", "layer4."),
    ),
    drops=(
        Drop(r"(key_backbone|teacher_backbone|backbone_momentum)\.", "EMA copy"),
        Drop(r"student_backbone\.", "the student; lightly evaluates the other"),
        Drop(r"(\w+_)?projection_head(_momentum)?\.", "projection head"),
        Drop(r"(student_|teacher_)?head\.", "projection head"),
        Drop(r"prediction_head\.", "predictor"),
        Drop(r"online_classifier\.|fc\.", "classifier on the side"),
        Drop(r"prototypes\.", "prototypes"),
        Drop(r"criterion\.", "the loss's memory"),
    ),
)

LIGHTLY_SMALL = Layout(
    name="lightly-small",
    title="lightly with its own network for small photos",
    source="lightly-ai/lightly@e8d317f: lightly/models/resnet.py, "
    "docs/source/getting_started/benchmarks/cifar10_benchmark.py",
    recognise=has("backbone.2.0.conv1.", "backbone.5.0.conv1."),
    refusal="as a list of layers, lightly's network for small photos has no ReLU after its first batch norm, "
    "unlike every ResNet here",
)
