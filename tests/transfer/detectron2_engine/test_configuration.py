"""The published configurations key by key: detection/configs of facebookresearch/moco and maple-research-lab/CLSA,
pycontrast/detection/configs of HobbitLong/PyContrast, each with its bases merged; what they do not name is at
detectron2's default.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from goodviews.hub.errors import ArtifactError, UsageError
from goodviews.hub.files.json_files import Place
from goodviews.hub.preprocessing import Preprocessing
from goodviews.transfer.detection.settings import DetectionSettings
from goodviews.transfer.detectron2_engine.configuration import check_configuration, configuration
from goodviews.transfer.detectron2_engine.tensor_names import ResNetShape
from goodviews.transfer.registry import TASKS

ENCODER = {
    "MODEL.PIXEL_MEAN": [123.675, 116.28, 103.53],
    "MODEL.PIXEL_STD": [58.395, 57.12, 57.375],
    "INPUT.FORMAT": "RGB",
    "MODEL.RESNETS.STRIDE_IN_1X1": False,
}
C4 = {
    "MODEL.ROI_HEADS.NAME": "Res5ROIHeadsExtraNorm",
    "MODEL.BACKBONE.FREEZE_AT": 0,
    "MODEL.RESNETS.NORM": "SyncBN",
    "SOLVER.BASE_LR": 0.02,
    "TEST.PRECISE_BN.ENABLED": True,
}
COCO_SIZES = (640, 672, 704, 736, 768, 800)
STAGES, LEVELS = ["res2", "res3", "res4", "res5"], ["p2", "p3", "p4", "p5", "p6"]
VOC_24K = {
    **ENCODER,
    **C4,
    "MODEL.ROI_HEADS.NUM_CLASSES": 20,
    "INPUT.MIN_SIZE_TRAIN": (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800),
    "SOLVER.STEPS": (18000, 22000),
    "SOLVER.MAX_ITER": 24000,
    "SOLVER.WARMUP_ITERS": 100,
}
COCO_C4 = {**ENCODER, **C4, "MODEL.MASK_ON": True, "INPUT.MIN_SIZE_TRAIN": COCO_SIZES}
COCO_FPN_STANDARD_HEADS = {
    **ENCODER,
    "MODEL.MASK_ON": True,
    "MODEL.BACKBONE.NAME": "build_resnet_fpn_backbone",
    "MODEL.BACKBONE.FREEZE_AT": 0,
    "MODEL.RESNETS.OUT_FEATURES": STAGES,
    "MODEL.FPN.IN_FEATURES": STAGES,
    "MODEL.RESNETS.NORM": "SyncBN",
    "MODEL.FPN.NORM": "SyncBN",
    "MODEL.ANCHOR_GENERATOR.SIZES": [[32], [64], [128], [256], [512]],
    "MODEL.RPN.IN_FEATURES": LEVELS,
    "MODEL.RPN.PRE_NMS_TOPK_TRAIN": 2000,
    "MODEL.RPN.PRE_NMS_TOPK_TEST": 1000,
    "MODEL.RPN.POST_NMS_TOPK_TRAIN": 1000,
    "MODEL.ROI_HEADS.NAME": "StandardROIHeads",
    "MODEL.ROI_HEADS.IN_FEATURES": LEVELS[:4],
    "MODEL.ROI_BOX_HEAD.NAME": "FastRCNNConvFCHead",
    "MODEL.ROI_BOX_HEAD.NUM_FC": 2,
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": 7,
    "MODEL.ROI_MASK_HEAD.NUM_CONV": 4,
    "INPUT.MIN_SIZE_TRAIN": COCO_SIZES,
    "SOLVER.BASE_LR": 0.02,
    "TEST.PRECISE_BN.ENABLED": True,
}
COCO_FPN_INFOMIN = {
    **COCO_FPN_STANDARD_HEADS,
    "MODEL.ROI_BOX_HEAD.NORM": "SyncBN",
    "MODEL.ROI_MASK_HEAD.NORM": "SyncBN",
    "MODEL.ROI_BOX_HEAD.NUM_CONV": 4,
    "MODEL.ROI_BOX_HEAD.NUM_FC": 1,
}
SCHEDULES = {
    "1x": {"SOLVER.STEPS": (60_000, 80_000), "SOLVER.MAX_ITER": 90_000},
    "2x": {"SOLVER.STEPS": (120_000, 160_000), "SOLVER.MAX_ITER": 180_000},
    "6x": {"SOLVER.STEPS": (480_000, 520_000), "SOLVER.MAX_ITER": 540_000},
}
PUBLISHED: dict[str, dict[str, Any]] = {
    "voc-detection": VOC_24K,
    **{f"coco-c4-{x}": {**COCO_C4, **SCHEDULES[x]} for x in ("1x", "2x")},
    **{f"coco-fpn-{x}": {**COCO_FPN_INFOMIN, **SCHEDULES[x]} for x in ("1x", "2x", "6x")},
    **{f"coco-fpn-std-{x}": {**COCO_FPN_STANDARD_HEADS, **SCHEDULES[x]} for x in ("1x", "2x", "6x")},
}
RESNET50 = ResNetShape(50, True, 256)
# Of DATASETS and MODEL.WEIGHTS detectron2 is told nothing: photos and weights are handed over.
ONLY_OURS = {"MODEL.DEVICE", "VERSION"}


def settings_of(task: str) -> DetectionSettings:
    measure = TASKS[task]().measure
    assert isinstance(measure, DetectionSettings)
    return measure


def ours(task: str) -> dict[str, Any]:
    classes = 20 if task.startswith("voc") else 80
    return configuration(settings_of(task), Preprocessing(), RESNET50, classes=classes, device="cpu")


@pytest.mark.parametrize("task", PUBLISHED)
def test_every_published_key_has_its_published_value(task: str):
    found = ours(task)
    assert {key: found.get(key) for key in PUBLISHED[task]} == PUBLISHED[task]


@pytest.mark.detectron2
@pytest.mark.parametrize("task", PUBLISHED)
@pytest.mark.usefixtures("detectron2_engine")
def test_every_other_key_is_at_its_default(task: str):
    from goodviews.transfer.detectron2_engine.network import full_configuration

    default, found = (flat(full_configuration(keys)) for keys in ({}, ours(task)))
    changed = {key: value for key, value in found.items() if default[key] != value and key not in ONLY_OURS}
    assert changed == PUBLISHED[task]


@pytest.mark.detectron2
@pytest.mark.usefixtures("detectron2_engine")
def test_the_rates_are_those_of_detectron2s_schedule():
    import torch
    from detectron2.solver import build_lr_scheduler, build_optimizer

    from goodviews.transfer.detectron2_engine.network import full_configuration

    settings = replace(settings_of("voc-detection"), iterations=60, lr_steps=(30, 50), warmup_iterations=10)
    cfg = full_configuration(configuration(settings, Preprocessing(), RESNET50, classes=20, device="cpu"))
    optimizer = build_optimizer(cfg, torch.nn.Linear(1, 1))
    schedule = build_lr_scheduler(cfg, optimizer)
    for done in range(settings.iterations):
        assert settings.learning_rate(done) == pytest.approx(schedule.get_last_lr()[0], rel=1e-6)
        optimizer.step()
        schedule.step()


def test_pixel_statistics_are_the_encoders_own():
    own = Preprocessing(mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.1))
    found = configuration(settings_of("voc-detection"), own, RESNET50, classes=20)
    assert found["MODEL.PIXEL_MEAN"] == [127.5, 102, 76.5]
    assert found["MODEL.PIXEL_STD"] == [51, 51, 25.5]


@pytest.mark.parametrize(
    ("device", "processes", "norm"),
    [("cuda", 1, "SyncBN"), ("cuda", 8, "SyncBN"), ("cpu", 1, "SyncBN"), ("cpu", 2, "naiveSyncBN")],
)
def test_batch_norm_is_over_all_processes_wherever_they_run(device: str, processes: int, norm: str):
    settings = settings_of("voc-detection")
    found = configuration(settings, Preprocessing(), RESNET50, classes=20, device=device, processes=processes)
    assert found["MODEL.RESNETS.NORM"] == norm


def test_other_resnets_are_described():
    found = configuration(settings_of("voc-detection"), Preprocessing(), ResNetShape(50, True, 256, 32, 4), classes=3)
    assert (found["MODEL.RESNETS.NUM_GROUPS"], found["MODEL.RESNETS.WIDTH_PER_GROUP"]) == (32, 4)
    assert found["MODEL.ROI_HEADS.NUM_CLASSES"] == 3
    small = configuration(settings_of("voc-detection"), Preprocessing(), ResNetShape(18, False, 64), classes=3)
    assert (small["MODEL.RESNETS.DEPTH"], small["MODEL.RESNETS.RES2_OUT_CHANNELS"]) == (18, 64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"box_head": "2fc"}, "c4 trunk cannot have the box head '2fc'"),
        ({"trunk": "fpn"}, "fpn trunk cannot have the box head 'res5'"),
        ({"head_norm": True}, "head_norm is for fpn"),
        ({"trunk": "fpn", "box_head": "2fc", "anchors_px": (32, 64)}, "5 anchors_px, one a level; found 2"),
        ({"batch_size": 15}, "15 photos cannot be shared by 2 processes"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict[str, Any], message: str):
    with pytest.raises(UsageError, match=message):
        configuration(replace(DetectionSettings(), **changes), Preprocessing(), RESNET50, classes=3, processes=2)


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        nested = hasattr(value, "items")
        found.update(flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value})
    return found


RESNET_50 = ResNetShape(50, is_bottleneck=True, res2_channels=256)


@pytest.mark.parametrize("task", ["coco-c4-1x", "coco-fpn-1x"])
def test_the_configuration_of_a_file_is_what_its_settings_make(task: str):
    settings = TASKS[task]().measure
    made = configuration(settings, Preprocessing(), RESNET_50, classes=3, device="cpu", processes=1)
    read = json.loads(json.dumps(made))
    check_configuration(read, settings, Preprocessing(), classes=3, place=Place(Path("detector.json"), "train again"))


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("MODEL.BACKBONE.NAME", "another", "absent"),
        ("MODEL.RESNETS.DEPTH", 10**6, "from 1 to 152"),
        ("MODEL.RESNETS.DEPTH", "50", "from 1 to 152"),
        ("MODEL.ROI_HEADS.NUM_CLASSES", 10**7, "as its settings say"),
        ("INPUT.MIN_SIZE_TEST", [1], "as its settings say"),
        ("MODEL.RPN.PRE_NMS_TOPK_TEST", float("nan"), "as its settings say"),
        ("MODEL.RESNETS.NORM", "Evil", "as its settings say"),
        ("DATASETS.TRAIN", "x", "absent"),
    ],
)
def test_a_configuration_that_no_settings_make_is_refused(key: str, value: object, reason: str):
    settings = TASKS["coco-c4-1x"]().measure
    made = configuration(settings, Preprocessing(), RESNET_50, classes=3) | {key: value}
    place = Place(Path("detector.json"), "train it again")
    with pytest.raises(ArtifactError, match=f"detector.json has .* for configuration.{key}.*{reason}"):
        check_configuration(made, settings, Preprocessing(), classes=3, place=place)
