"""A protocol's settings as keys of detectron2's configuration; neither torch nor detectron2 is imported.

With the published settings and an encoder of ImageNet's pixel statistics the keys that differ from detectron2's
defaults are those of the published files, and no others; a key that a task may change is written here even where it
has its default. Source: the configurations of MoCo (facebookresearch/moco), PyContrast (HobbitLong/PyContrast,
InfoMin) and CLSA (maple-research-lab/CLSA), merged with their bases.
"""

from __future__ import annotations

from typing import Any

from ...hub.errors import UsageError
from ...hub.files.json_files import Place
from ...hub.preprocessing import Preprocessing
from ..detection.settings import FPN_LEVELS, DetectionSettings, check_network
from .tensor_names import ResNetShape

C4_HEADS = "Res5ROIHeadsExtraNorm"  # not in detectron2: `network` adds it
BOX_HEADS = {"2fc": (0, 2), "4conv1fc": (4, 1)}  # convolutions, linear layers

Configuration = dict[str, Any]  # key with dots -> value
_NORMS = ("", "SyncBN", "naiveSyncBN")
_SIZES = {  # of a ResNet: its key, and more than any has
    "depth": ("MODEL.RESNETS.DEPTH", 152),
    "groups": ("MODEL.RESNETS.NUM_GROUPS", 64),
    "width_per_group": ("MODEL.RESNETS.WIDTH_PER_GROUP", 256),
    "res2_channels": ("MODEL.RESNETS.RES2_OUT_CHANNELS", 2048),
}


def configuration(
    settings: DetectionSettings,
    preprocessing: Preprocessing,
    network: ResNetShape,
    *,
    classes: int,
    device: str = "cuda",
    processes: int = 1,
    has_bitmasks: bool = False,
) -> Configuration:
    """Every key that a task, an encoder or a machine decides.

    Args:
        settings: Of the task.
        preprocessing: The encoder's: its pixel statistics, for RGB in 0-1.
        network: The encoder's.
        classes: How many there are.
        device: "cpu", "cuda" or "cuda:1".
        processes: How many train together.
        has_bitmasks: Whether some mask comes as pixels and not as polygons.

    Raises:
        UsageError: the settings contradict each other, or the processes cannot share a batch evenly.
    """
    _check(settings, processes)
    norm = _norm(device, processes)
    return {
        "VERSION": 2,
        "MODEL.DEVICE": device,
        "MODEL.MASK_ON": settings.masks,
        **_encoder(preprocessing, network, norm),
        **(_fpn(settings, norm) if settings.trunk == "fpn" else _c4(settings)),
        **_proposals(settings),
        **_regions(settings, classes),
        **_photos(settings, has_bitmasks),
        **_schedule(settings),
    }


def check_configuration(
    found: Configuration, settings: DetectionSettings, preprocessing: Preprocessing, *, classes: int, place: Place
) -> None:
    """Refuse what `configuration` does not write: only the network's size is the file's own to say.

    Raises:
        ArtifactError: of the place, with the first key that is wrong.
    """
    sizes = {}
    for name, (key, most) in _SIZES.items():
        value = found.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise place.refuse(f"configuration.{key}", value, f"a whole number from 1 to {most}")
        sizes[name] = value
    network = ResNetShape(is_bottleneck=sizes["depth"] >= 50, **sizes)
    has_bitmasks = found.get("INPUT.MASK_FORMAT") == "bitmask"
    usual = configuration(settings, preprocessing, network, classes=classes, has_bitmasks=has_bitmasks)
    for key, value in found.items():
        if key == "MODEL.DEVICE" or (key.endswith(".NORM") and value in _NORMS):
            continue
        if key not in usual:
            raise place.refuse(f"configuration.{key}", value, "absent")
        if _with_lists(value) != _with_lists(usual[key]):
            raise place.refuse(f"configuration.{key}", value, f"{usual[key]!r:.60}, as its settings say")


def _with_lists(value: Any) -> Any:
    return [_with_lists(item) for item in value] if isinstance(value, list | tuple) else value


def _check(settings: DetectionSettings, processes: int) -> None:
    check_network(settings)
    if settings.batch_size % processes:
        raise UsageError(
            f"A batch of {settings.batch_size} photos cannot be shared by {processes} processes; "
            "give a --batch-size that they divide."
        )


def _norm(device: str, processes: int) -> str:
    """Batch norm over the photos of all processes. PyTorch's own needs GPUs; in one process both are plain."""
    return "naiveSyncBN" if device == "cpu" and processes > 1 else "SyncBN"


def _encoder(preprocessing: Preprocessing, network: ResNetShape, norm: str) -> Configuration:
    return {
        "INPUT.FORMAT": "RGB",
        "MODEL.PIXEL_MEAN": [round(value * 255, 6) for value in preprocessing.mean],
        "MODEL.PIXEL_STD": [round(value * 255, 6) for value in preprocessing.std],
        "MODEL.BACKBONE.FREEZE_AT": 0,
        "MODEL.RESNETS.NORM": norm,
        "MODEL.RESNETS.STRIDE_IN_1X1": False,  # torchvision's and timm's networks have it in the 3 x 3
        "MODEL.RESNETS.DEPTH": network.depth,
        "MODEL.RESNETS.NUM_GROUPS": network.groups,
        "MODEL.RESNETS.WIDTH_PER_GROUP": network.width_per_group,
        "MODEL.RESNETS.RES2_OUT_CHANNELS": network.res2_channels,
    }


def _c4(settings: DetectionSettings) -> Configuration:
    return {
        "MODEL.ROI_HEADS.NAME": C4_HEADS,
        "MODEL.ANCHOR_GENERATOR.SIZES": [list(settings.anchors_px)],
    }


def _fpn(settings: DetectionSettings, norm: str) -> Configuration:
    stages = ["res2", "res3", "res4", "res5"]
    convolutions, linear_layers = BOX_HEADS[settings.box_head]
    head_norm = norm if settings.head_norm else ""
    return {
        "MODEL.BACKBONE.NAME": "build_resnet_fpn_backbone",
        "MODEL.RESNETS.OUT_FEATURES": stages,
        "MODEL.FPN.IN_FEATURES": stages,
        "MODEL.FPN.NORM": norm,
        "MODEL.ANCHOR_GENERATOR.SIZES": [[side] for side in settings.anchors_px],
        "MODEL.RPN.IN_FEATURES": list(FPN_LEVELS),
        "MODEL.ROI_HEADS.NAME": "StandardROIHeads",
        "MODEL.ROI_HEADS.IN_FEATURES": list(FPN_LEVELS[:-1]),
        "MODEL.ROI_BOX_HEAD.NAME": "FastRCNNConvFCHead",
        "MODEL.ROI_BOX_HEAD.NUM_CONV": convolutions,
        "MODEL.ROI_BOX_HEAD.NUM_FC": linear_layers,
        "MODEL.ROI_BOX_HEAD.NORM": head_norm,
        "MODEL.ROI_MASK_HEAD.NUM_CONV": 4,
        "MODEL.ROI_MASK_HEAD.NORM": head_norm,
        "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION": settings.mask_roi_px,
    }


def _proposals(settings: DetectionSettings) -> Configuration:
    before, after = settings.proposals_before_nms, settings.proposals
    return {
        "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": [list(settings.anchor_ratios)],
        "MODEL.RPN.BATCH_SIZE_PER_IMAGE": settings.rpn_samples,
        "MODEL.RPN.PRE_NMS_TOPK_TRAIN": before[0],
        "MODEL.RPN.PRE_NMS_TOPK_TEST": before[1],
        "MODEL.RPN.POST_NMS_TOPK_TRAIN": after[0],
        "MODEL.RPN.POST_NMS_TOPK_TEST": after[1],
    }


def _regions(settings: DetectionSettings, classes: int) -> Configuration:
    return {
        "MODEL.ROI_HEADS.NUM_CLASSES": classes,
        "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": settings.roi_samples,
        "MODEL.ROI_HEADS.SCORE_THRESH_TEST": settings.min_score,
        "MODEL.ROI_HEADS.NMS_THRESH_TEST": settings.nms_iou,
        "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": settings.roi_px,
        "TEST.DETECTIONS_PER_IMAGE": settings.detections_per_photo,
    }


def _photos(settings: DetectionSettings, has_bitmasks: bool) -> Configuration:
    return {
        "INPUT.MIN_SIZE_TRAIN": tuple(settings.short_sides_px),
        "INPUT.MAX_SIZE_TRAIN": settings.long_side_px,
        "INPUT.MIN_SIZE_TEST": settings.test_short_side_px,
        "INPUT.MAX_SIZE_TEST": settings.long_side_px,
        "INPUT.MASK_FORMAT": "bitmask" if has_bitmasks else "polygon",
    }


def _schedule(settings: DetectionSettings) -> Configuration:
    return {
        "SOLVER.IMS_PER_BATCH": settings.batch_size,
        "SOLVER.BASE_LR": settings.lr,
        "SOLVER.MOMENTUM": settings.momentum,
        "SOLVER.WEIGHT_DECAY": settings.weight_decay,
        "SOLVER.STEPS": tuple(settings.lr_steps),
        "SOLVER.MAX_ITER": settings.iterations,
        "SOLVER.WARMUP_ITERS": settings.warmup_iterations,
        "TEST.PRECISE_BN.ENABLED": settings.precise_bn_iterations > 0,
        **({"TEST.PRECISE_BN.NUM_ITER": settings.precise_bn_iterations} if settings.precise_bn_iterations else {}),
    }
