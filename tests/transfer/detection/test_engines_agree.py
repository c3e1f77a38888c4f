"""With the same weights and photos both engines compute the same losses and find the same objects.

Every anchor and region is sampled here, so nothing is left to chance.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from goodviews.hub.backbone import build_backbone
from goodviews.hub.encoder import Preprocessing
from goodviews.transfer.detection.settings import DetectionSettings
from goodviews.transfer.detectron2_engine.configuration import configuration
from goodviews.transfer.detectron2_engine.tensor_names import detectron2_name, shape_of
from goodviews.transfer.torchvision_engine.detector import TorchvisionDetector
from goodviews.transfer.torchvision_engine.network import build_detector

pytestmark = pytest.mark.detectron2

CLASSES = ("cat", "dog", "cow")
C4 = DetectionSettings(
    masks=True,
    anchors_px=(16, 48),
    rpn_samples=1_000_000,
    proposals_before_nms=(200, 100),
    proposals=(40, 20),
    roi_samples=100_000,
    roi_px=4,
    test_short_side_px=64,
    min_score=0.2,
)
STANDARD = replace(C4, trunk="fpn", box_head="2fc", roi_px=7, anchors_px=(8, 16, 32, 64, 128))
INFOMIN = replace(STANDARD, box_head="4conv1fc", head_norm=True)
LOSSES = {  # ours: detectron2's
    "loss_classifier": "loss_cls",
    "loss_box_reg": "loss_box_reg",
    "loss_mask": "loss_mask",
    "loss_objectness": "loss_rpn_cls",
    "loss_rpn_box_reg": "loss_rpn_loc",
}
SQUARE = [10.0, 12.0, 50.0, 12.0, 50.0, 44.0, 10.0, 44.0]
TRIANGLE = [60.0, 8.0, 92.0, 40.0, 60.0, 58.0]


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [("resnet50", C4), ("resnet18", STANDARD), ("resnet18", INFOMIN)],
    ids=["c4", "standard", "infomin"],
)
def test_both_engines_compute_the_same(architecture: str, settings: DetectionSettings):
    pytest.importorskip("detectron2", reason="compares with detectron2")
    from detectron2.utils.events import EventStorage

    from goodviews.transfer.detectron2_engine.detector import Detectron2Detector

    torch.manual_seed(0)
    backbone = build_backbone(architecture)
    ours = build_detector(backbone, Preprocessing(), len(CLASSES), settings)
    _make_decided(ours)
    theirs, keys = _theirs(backbone, architecture, settings)
    theirs.load_state_dict(_translated(ours.state_dict(), settings, theirs.state_dict()))
    photos = [torch.randint(0, 256, (3, 64, 96), dtype=torch.uint8) for _ in range(2)]

    one = ours.train()([photo / 255 for photo in photos], [_target()] * 2)
    with EventStorage():
        other = theirs.train()([{"image": photo, "instances": _instances()} for photo in photos])
    assert {name: loss.item() for name, loss in one.items()} == pytest.approx(
        {name: other[their_name].item() for name, their_name in LOSSES.items()}, rel=1e-3
    )

    photo = Image.fromarray(photos[0].permute(1, 2, 0).numpy())
    mine = TorchvisionDetector(ours, CLASSES, architecture, Preprocessing(), settings).detect(photo)
    yours = Detectron2Detector(theirs, CLASSES, architecture, Preprocessing(), settings, keys).detect(photo)
    assert len(mine.names) > 3
    assert mine.names == yours.names
    np.testing.assert_allclose(mine.scores, yours.scores, atol=1e-4)
    np.testing.assert_allclose(mine.boxes, yours.boxes, atol=0.02)
    assert mine.masks == yours.masks


def _make_decided(network: nn.Module) -> None:
    """Weights that find something: heads start so small that every score would be the same."""
    heads = network.roi_heads
    with torch.no_grad():
        for layer, factor in ((heads.box_predictor.cls_score, 100), (heads.box_predictor.bbox_pred, 100)):
            layer.weight *= factor
        for name, value in network.named_parameters():
            if name.endswith(("rpn.head.cls_logits.weight", "rpn.head.bbox_pred.weight")):
                value *= 5
            if name.endswith(("logits.bias", "bbox_pred.bias", "cls_score.bias")):
                value.normal_(std=0.1)
            if name.endswith(("mask_branch.logits.weight", "mask_branch.1.logits.weight")):
                value *= 200


def _theirs(backbone: nn.Module, architecture: str, settings: DetectionSettings) -> tuple[nn.Module, dict[str, Any]]:
    from goodviews.transfer.detectron2_engine.network import build_network

    shapes = {name: tuple(value.shape) for name, value in backbone.state_dict().items()}
    shape = shape_of(shapes, architecture, settings.trunk)
    keys = configuration(settings, Preprocessing(), shape, classes=len(CLASSES), device="cpu")
    return build_network(keys), keys


def _translated(weights: dict[str, Tensor], settings: DetectionSettings, known: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors under detectron2's names, background last and anchors in its order."""
    sizes = len(settings.anchors_px) if settings.trunk == "c4" else 1
    count = sizes * len(settings.anchor_ratios)
    order = torch.arange(count).reshape(len(settings.anchor_ratios), sizes).T.flatten()  # ours: ratio by ratio
    found = {
        name: value for name, value in known.items() if name in ("pixel_mean", "pixel_std") or "cell_anchors" in name
    }
    for name, value in weights.items():
        if name.startswith("rpn.head.cls_logits"):
            value = value[order]
        if name.startswith("rpn.head.bbox_pred"):
            value = value.reshape(count, 4, *value.shape[1:])[order].flatten(0, 1)
        if "box_predictor.cls_score" in name:
            value = value.roll(-1, dims=0)
        if "box_predictor.bbox_pred" in name:
            value = value[4:]
        found[_their_name(name)] = value
    return {name: value for name, value in found.items() if not name.endswith("num_batches_tracked") or name in known}


def _their_name(name: str) -> str:
    head, _, rest = name.partition(".")
    parts = rest.split(".")
    if rest.startswith("body."):
        return "backbone.bottom_up." + detectron2_name(rest.removeprefix("body."))
    if rest.startswith("fpn."):
        _, blocks, level, layer, last = parts
        kind = {"inner_blocks": "fpn_lateral", "layer_blocks": "fpn_output"}[blocks]
        return f"backbone.{kind}{int(level) + 2}." + ("norm." if layer == "1" else "") + last
    if head == "backbone":
        return "backbone." + detectron2_name(rest)
    if head == "rpn":
        last = name.rpartition(".")[2]
        layer = {"conv": "conv", "cls_logits": "objectness_logits", "bbox_pred": "anchor_deltas"}[parts[1]]
        return f"proposal_generator.rpn_head.{layer}.{last}"
    if rest.startswith("box_head.layer4."):
        return "roi_heads." + detectron2_name(rest.removeprefix("box_head."))
    if rest.startswith("box_head.norm."):
        return name.replace("box_head.norm", "res5.norm")
    if rest.startswith("box_head."):
        return "roi_heads.box_head." + _their_layer(parts[1:])
    if rest.startswith("mask_branch."):
        return "roi_heads.mask_head." + _their_mask_layer(parts[1:])
    return name


def _their_layer(parts: list[str]) -> str:
    linear = {"fc6": "fc1", "fc7": "fc2", "5": "fc1"}
    if parts[0] in linear:
        return f"{linear[parts[0]]}.{parts[1]}"
    place, layer, last = parts
    return f"conv{int(place) + 1}." + ("norm." if layer == "1" else "") + last


def _their_mask_layer(parts: list[str]) -> str:
    if parts[0] == "0":
        _, place, layer, last = parts
        return f"mask_fcn{int(place) + 1}." + ("norm." if layer == "1" else "") + last
    layer, last = parts[-2:]
    return {"doubled": "deconv", "logits": "predictor"}[layer] + f".{last}"


def _target() -> dict[str, Any]:
    boxes = torch.tensor([[10.0, 12.0, 50.0, 44.0], [60.0, 8.0, 92.0, 58.0]])
    return {"boxes": boxes, "labels": torch.tensor([1, 3]), "masks": [(tuple(SQUARE),), (tuple(TRIANGLE),)]}


def _instances() -> Any:
    from detectron2.structures import Boxes, Instances, PolygonMasks

    target = _target()
    masks = PolygonMasks([[np.array(SQUARE)], [np.array(TRIANGLE)]])
    return Instances((64, 96), gt_boxes=Boxes(target["boxes"]), gt_classes=target["labels"] - 1, gt_masks=masks)
