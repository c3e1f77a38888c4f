"""Each network is the encoder plus what is published, part by part."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from goodviews.hub.backbone import build_backbone
from goodviews.hub.encoder import Encoder, Preprocessing
from goodviews.hub.errors import UsageError
from goodviews.transfer.detection.settings import DetectionSettings
from goodviews.transfer.torchvision_engine.detector import TorchvisionDetector
from goodviews.transfer.torchvision_engine.network import build_detector
from goodviews.transfer.torchvision_engine.proposals import ExactAnchors, L1Proposals
from goodviews.transfer.torchvision_engine.roi_heads import RegionAlign, region_losses
from goodviews.transfer.torchvision_engine.training import parameter_groups

VOC = DetectionSettings()
C4 = replace(VOC, masks=True)
STANDARD = replace(C4, trunk="fpn", box_head="2fc", roi_px=7, proposals_before_nms=(2_000, 1_000))
INFOMIN = replace(STANDARD, box_head="4conv1fc", head_norm=True)
PLAIN = Preprocessing()


def test_c4_trunk_is_the_encoder_to_the_last_bit(encoder: Encoder):
    photo = torch.rand(1, 3, 64, 96)
    trunk = build_detector(encoder.backbone, encoder.preprocessing, 3, VOC).eval().backbone
    assert torch.equal(trunk(photo), encoder.feature_maps(photo)["res4"])


def test_the_pyramid_stands_on_the_encoder_to_the_last_bit(encoder: Encoder):
    photo = torch.rand(1, 3, 64, 96)
    trunk = build_detector(encoder.backbone, encoder.preprocessing, 3, STANDARD).eval().backbone
    stages, levels = list(trunk.body(photo).values()), trunk(photo)
    assert all(torch.equal(one, other) for one, other in zip(stages, encoder.feature_maps(photo).values(), strict=True))
    assert {name: tuple(one.shape[1:]) for name, one in levels.items()} == {
        "p2": (256, 16, 24),
        "p3": (256, 8, 12),
        "p4": (256, 4, 6),
        "p5": (256, 2, 3),
        "pool": (256, 1, 2),
    }


def test_resnet50_has_the_published_tensors():
    network = build_detector(build_backbone("resnet50"), PLAIN, 20, VOC)
    decayed, norms = parameter_groups(network, VOC)
    assert (len(decayed["params"]), decayed["weight_decay"]) == (63, 1e-4)
    assert (len(norms["params"]), norms["weight_decay"]) == (108, 0.0)
    assert network.roi_heads.box_head.norm.num_features == 2048
    predictor = network.roi_heads.box_predictor
    assert predictor.cls_score.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert predictor.bbox_pred.weight.std().item() == pytest.approx(0.001, rel=0.05)
    assert all(value.requires_grad for value in network.parameters())


@pytest.mark.parametrize(
    ("settings", "tensors", "numbers", "norms"),
    [(C4, 175, 35_966_828, 57_216), (STANDARD, 209, 44_398_384, 57_216), (INFOMIN, 223, 45_711_152, 61_312)],
    ids=["c4", "standard", "infomin"],
)
def test_mask_networks_are_as_large_as_detectron2s(settings, tensors, numbers, norms):
    """Counted in detectron2's models of the published configurations (c4: with the extra norm) for 80 classes."""
    network = build_detector(build_backbone("resnet50"), PLAIN, 80, settings)
    background = 4 * (network.roi_heads.box_predictor.bbox_pred.in_features + 1)  # outputs that detectron2 lacks
    values = list(network.parameters())
    assert (len(values), sum(value.numel() for value in values) - background) == (tensors, numbers)
    assert sum(value.numel() for value in parameter_groups(network, settings)[1]["params"]) == norms


def test_heads_start_as_published():
    heads = build_detector(build_backbone("test_resnet"), PLAIN, 80, INFOMIN).roi_heads
    convolution, norm, _ = heads.box_head[0]
    assert (convolution.bias, norm.num_features) == (None, 256)
    assert convolution.weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.05)
    linear = heads.box_head[5]
    assert linear.weight.abs().max().item() == pytest.approx((3 / (256 * 49)) ** 0.5, rel=0.05)
    assert heads.mask_branch[1].logits.weight.std().item() == pytest.approx(0.001, rel=0.05)
    assert not any(layer.bias.any() for layer in (linear, heads.mask_branch[1].doubled, heads.mask_branch[1].logits))


def test_networks_without_a_c4_trunk_are_refused():
    with pytest.raises(UsageError, match="ResNet encoders, such as resnet18 or resnet50; this one is convnext_atto"):
        build_detector(build_backbone("convnext_atto"), PLAIN, 2, VOC)
    pooled_less = build_backbone("resnet18")
    pooled_less.maxpool = nn.Identity()
    for small in (pooled_less, build_backbone("resnet18_cifar")):
        for settings in (VOC, INFOMIN):
            with pytest.raises(UsageError, match="stride 16"):
                build_detector(small, PLAIN, 2, settings)


def test_anchors_are_exact_and_lie_on_the_trunks_grid():
    make = ExactAnchors(((32, 64),), ((0.5, 1.0, 2.0),), (16,))
    cells = make.cell_anchors[0]
    sides = cells[:, 2:] - cells[:, :2]
    torch.testing.assert_close(sides.prod(1).sqrt(), torch.tensor([32.0, 64.0]).repeat(3))
    torch.testing.assert_close(sides[:, 1] / sides[:, 0], torch.tensor([0.5, 0.5, 1.0, 1.0, 2.0, 2.0]))
    odd = [torch.tensor(15), torch.tensor(15)]  # 481 px give 31 cells, and 481 // 31 is 15
    centres = make.grid_anchors([[2, 2]], [odd])[0].reshape(4, 6, 2, 2).mean(dim=2)[:, 0]
    assert centres.tolist() == [[0, 0], [16, 0], [0, 16], [16, 16]]


def test_regions_are_pooled_with_the_half_pixel_correction():
    ramp = torch.arange(20.0).expand(1, 1, 20, 20)  # the feature of column k is that of pixel 16 k + 8
    pooled = RegionAlign((16,), 1)({"0": ramp}, [torch.tensor([[96.0, 96.0, 160.0, 160.0]])], [(320, 320)])
    assert pooled.item() == pytest.approx(128 / 16 - 0.5)


def test_each_region_is_seen_on_the_level_for_its_size():
    align = RegionAlign((4, 8, 16, 32), 1)
    sides = torch.tensor([5.0, 111.9, 112.0, 223.9, 224.0, 448.0, 4000.0])
    boxes = torch.cat([torch.zeros(7, 2), sides[:, None].repeat(1, 2)], dim=1)
    assert align.levels(boxes).tolist() == [0, 0, 1, 1, 2, 3, 3]
    maps = {f"p{level}": torch.full((2, 1, 1024 >> level, 1024 >> level), float(level)) for level in range(2, 7)}
    seen = align(maps, [boxes[:3], boxes[3:6]], [(4096, 4096)] * 2)
    assert seen.flatten().tolist() == [2, 2, 3, 3, 4, 5]


def test_only_the_pyramid_pads_photos_and_then_to_multiples_of_32():
    for settings, size in ((VOC, (50, 70)), (INFOMIN, (64, 96))):
        seen = build_detector(build_backbone("test_resnet"), PLAIN, 2, settings).transform([torch.rand(3, 50, 70)])[0]
        assert tuple(seen.tensors.shape[-2:]) == size


def test_boxes_and_masks_of_c4_share_one_pass_over_the_regions():
    torch.manual_seed(0)
    network = build_detector(build_backbone("test_resnet"), PLAIN, 2, replace(C4, roi_samples=8)).train()
    square = (8.0, 8.0, 40.0, 8.0, 40.0, 40.0, 8.0, 40.0)
    target = {"boxes": torch.tensor([[8.0, 8.0, 40.0, 40.0]]), "labels": torch.tensor([1]), "masks": [(square,)]}
    losses = network([torch.rand(3, 64, 64)], [target])
    assert sorted(losses) == ["loss_box_reg", "loss_classifier", "loss_mask", "loss_objectness", "loss_rpn_box_reg"]
    assert losses["loss_mask"].item() == pytest.approx(np.log(2), rel=0.1)  # nothing is learned yet
    assert network.roi_heads.box_head.norm.num_batches_tracked == 1


@pytest.mark.parametrize("settings", [VOC, C4, INFOMIN], ids=["boxes", "c4", "infomin"])
@pytest.mark.parametrize("size", [(90, 60), (300, 3), (1, 1)])
def test_a_photo_in_which_nothing_is_found_is_no_error(settings: DetectionSettings, size: tuple[int, int]):
    torch.manual_seed(0)
    settings = replace(settings, min_score=0.999, test_short_side_px=64, long_side_px=96, proposals=(9, 9))
    network = build_detector(build_backbone("test_resnet"), PLAIN, 2, settings)
    found = TorchvisionDetector(network, ("cat", "dog"), "test_resnet", PLAIN, settings).detect(Image.new("RGB", size))
    assert (found.boxes.shape, found.names) == ((0, 4), ())
    assert found.masks == (() if settings.masks else None)


def test_region_losses_by_hand():
    logits, labels = torch.zeros(2, 3), torch.tensor([0, 2])
    deltas = torch.zeros(2, 12)
    deltas[1, 8:] = torch.tensor([1.0, 0.0, -2.0, 0.0])  # class 2 of the second region
    deltas[1, 4:8] = 9.0  # another class: must not count
    losses = region_losses(logits, deltas, labels, torch.zeros(2, 4))
    assert losses["loss_box_reg"].item() == pytest.approx(3 / 2)
    assert losses["loss_classifier"].item() == pytest.approx(np.log(3))


def test_proposal_losses_are_sums_over_samples_times_photos():
    rpn = L1Proposals(ExactAnchors(((32,),), ((1.0,),), (16,)), nn.Identity(), 0.7, 0.3, 8, 0.5, {}, {}, 0.7)
    labels = [torch.tensor([1.0, 0.0, -1.0])]  # an object, background, ignored
    deltas, targets = torch.zeros(3, 4), [torch.tensor([[0.5, 0, 0, 0.25]] * 3)]
    objectness, boxes = rpn.compute_loss(torch.zeros(3, 1), deltas, labels, targets)
    assert boxes.item() == pytest.approx(0.75 / 8)
    assert objectness.item() == pytest.approx(2 * np.log(2) / 8)
