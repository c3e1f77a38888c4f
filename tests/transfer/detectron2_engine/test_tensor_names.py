import pytest
import timm
import torch

from goodviews.hub.backbone import build_backbone
from goodviews.hub.errors import UsageError
from goodviews.transfer.detectron2_engine.tensor_names import ResNetShape, detectron2_name, find_places, shape_of

Shapes = dict[str, tuple[int, ...]]


def shapes_of(architecture: str) -> Shapes:
    with torch.device("meta"):
        network = timm.create_model(architecture, num_classes=0)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@pytest.fixture(scope="module")
def resnet50() -> Shapes:
    return shapes_of("resnet50")


def detector_of(encoder: Shapes) -> Shapes:
    """The tensors of a C4 detector made for these, with its new layers."""
    own = {}
    for name, shape in encoder.items():
        place = detectron2_name(name)
        own[("roi_heads." if place.startswith("res5") else "backbone.") + place] = shape
    return {**own, "roi_heads.res5.norm.weight": (2048,), "proposal_generator.rpn_head.conv.bias": (1024,)}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("conv1.weight", "stem.conv1.weight"),
        ("bn1.running_mean", "stem.conv1.norm.running_mean"),
        ("layer1.0.conv3.weight", "res2.0.conv3.weight"),
        ("layer4.2.bn3.num_batches_tracked", "res5.2.conv3.norm.num_batches_tracked"),
        ("layer2.0.downsample.0.weight", "res3.0.shortcut.weight"),
        ("layer3.0.downsample.1.bias", "res4.0.shortcut.norm.bias"),
    ],
)
def test_names_follow_the_published_conversion(ours: str, theirs: str):
    assert detectron2_name(ours) == theirs


def test_all_318_tensors_of_a_resnet50_get_a_place_of_their_own(resnet50: Shapes):
    found = find_places(resnet50, detector_of(resnet50), "resnet50", "c4")
    assert len(set(found.values())) == len(resnet50) == 318
    assert sum(len(shape) == 4 for shape in resnet50.values()) == 53
    assert found["layer4.0.conv1.weight"] == "roi_heads.res5.0.conv1.weight"
    assert found["conv1.weight"] == "backbone.stem.conv1.weight"


def test_a_tensor_without_a_place_stops_the_run(resnet50: Shapes):
    detector = detector_of(resnet50)
    del detector["backbone.res3.1.conv2.weight"]
    with pytest.raises(UsageError, match=r"layer2\.1\.conv2\.weight .* belongs at backbone\.res3\.1\.conv2\.weight"):
        find_places(resnet50, detector, "resnet50", "c4")


def test_a_layer_that_would_stay_random_stops_the_run(resnet50: Shapes):
    fewer = {name: shape for name, shape in resnet50.items() if not name.startswith("layer3.5")}
    with pytest.raises(UsageError, match=r"nothing in it belongs at backbone\.res4\.5\.conv1\.weight and 17 other"):
        find_places(fewer, detector_of(resnet50), "resnet50", "c4")


def test_a_tensor_of_another_shape_stops_the_run(resnet50: Shapes):
    wider = {**resnet50, "layer1.0.conv2.weight": (128, 128, 3, 3)}
    with pytest.raises(UsageError, match=r"has the shape \(64, 64, 3, 3\)"):
        find_places(wider, detector_of(resnet50), "resnet50", "c4")


def test_names_of_a_classifier_or_a_projection_head_are_no_part_of_a_resnet(resnet50: Shapes):
    with pytest.raises(UsageError, match=r"its tensor fc\.weight is in none"):
        shape_of({**resnet50, "fc.weight": (1000, 2048)}, "resnet50", "c4")


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [
        ("resnet18", ResNetShape(18, False, 64)),
        ("resnet34", ResNetShape(34, False, 64)),
        ("resnet50", ResNetShape(50, True, 256)),
        ("resnet101", ResNetShape(101, True, 256)),
        ("resnext50_32x4d", ResNetShape(50, True, 256, 32, 4)),
        ("wide_resnet50_2", ResNetShape(50, True, 256, 1, 128)),
    ],
)
def test_the_shape_of_a_network_is_read_from_its_tensors(architecture: str, shape: ResNetShape):
    assert shape_of(shapes_of(architecture), architecture, "fpn") == shape


@pytest.mark.parametrize("architecture", ["seresnet50", "resnet50d", "resnet26", "resnet50_gn", "convnext_atto"])
def test_what_is_no_plain_resnet_is_refused_in_one_sentence(architecture: str):
    with pytest.raises(UsageError, match=f"takes plain ResNets .*{architecture} is none: .*--engine torchvision"):
        given = shapes_of(architecture)
        shape_of(given, architecture, "fpn")
        find_places(given, detector_of(shapes_of("resnet50")), architecture, "c4")


def test_other_widths_are_described():
    with torch.device("meta"):
        network = build_backbone("resnet50", width=0.5)
    given = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shape_of(given, "resnet50", "c4") == ResNetShape(50, True, 128, 1, 32)


def test_a_stem_for_small_pictures_is_refused(resnet50: Shapes):
    with pytest.raises(UsageError, match="first convolution is not 7 x 7"):
        shape_of({**resnet50, "conv1.weight": (64, 3, 3, 3)}, "resnet50", "fpn")


def test_a_c4_detector_needs_bottlenecks():
    with pytest.raises(UsageError, match=r"C4 detector is made of bottleneck blocks.*resnet18 has none"):
        shape_of(shapes_of("resnet18"), "resnet18", "c4")
