"""What a detection protocol fixes, whichever engine trains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ...hub.errors import UsageError
from ...hub.schedules import steps
from ..task import require_above_zero

FPN_LEVELS = ("p2", "p3", "p4", "p5", "p6")


@dataclass(frozen=True)
class DetectionSettings:
    """Faster or Mask R-CNN on an encoder, and its schedule. The defaults are the published VOC setting of 24,000
    iterations.

    Source: detectron2 configuration of He et al. 2020 (MoCo, arXiv:1911.05722), as used for InfoMin and CLSA; what it
        does not name is detectron2's default.
    """

    # network
    trunk: Literal["c4", "fpn"] = "c4"
    masks: bool = False  # whether masks are learned and found too
    box_head: Literal["res5", "2fc", "4conv1fc"] = "res5"  # what sees a region; c4: res5, for masks too
    head_norm: bool = False  # fpn: batch norm in the box and mask heads
    # schedule
    iterations: int = 24_000
    lr_steps: tuple[int, ...] = (18_000, 22_000)  # the learning rate is multiplied by 0.1 at each
    warmup_iterations: int = 100  # linear from lr / 1000
    batch_size: int = 16  # photos over all processes; `lr` is for this size
    lr: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 1e-4  # on weights and biases, but not on norm parameters
    precise_bn_iterations: int = 200  # batches over which batch norm statistics are measured after training
    # photos
    short_sides_px: tuple[int, ...] = (
        480,
        512,
        544,
        576,
        608,
        640,
        672,
        704,
        736,
        768,
        800,
    )  # one is drawn for each photo
    test_short_side_px: int = 800
    long_side_px: int = 1333  # at most
    flip: float = 0.5  # probability
    # region proposals
    anchors_px: tuple[int, ...] = (32, 64, 128, 256, 512)  # fpn: one a level
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)  # height / width
    rpn_samples: int = 256  # a photo; half of them positive
    proposals_before_nms: tuple[int, int] = (12_000, 6_000)  # training, test; fpn: of each level
    proposals: tuple[int, int] = (2_000, 1_000)  # training, test
    # regions
    roi_samples: int = 512  # a photo; a quarter of them positive
    roi_px: int = 14
    mask_roi_px: int = 14  # fpn; c4 finds masks in the regions that boxes are found in
    min_score: float = 0.05
    nms_iou: float = 0.5
    detections_per_photo: int = 100

    def learning_rate(self, iteration: int) -> float:
        """The learning rate of an iteration, counted from 0; warm-up is part of the schedule."""
        rate = steps(self.lr, iteration, self.lr_steps, 0.1)
        if iteration >= self.warmup_iterations:
            return rate
        done = iteration / self.warmup_iterations
        return rate * (0.001 * (1 - done) + done)  # in this order, as detectron2: `linear` rounds otherwise


def check_settings(settings: DetectionSettings) -> None:
    """Raises UsageError where settings contradict each other, or a number is not above 0."""
    check_network(settings)
    require_above_zero(settings, "iterations", "batch_size", "lr", "detections_per_photo")
    require_above_zero(settings, "short_sides_px", "test_short_side_px", "long_side_px")
    require_above_zero(settings, "anchors_px", "anchor_ratios", "rpn_samples", "proposals_before_nms", "proposals")
    require_above_zero(settings, "roi_samples", "roi_px", "mask_roi_px")


def check_network(settings: DetectionSettings) -> None:
    """Raises UsageError where settings of the network contradict each other."""
    if (settings.trunk == "c4") != (settings.box_head == "res5"):
        raise UsageError(f"A {settings.trunk} trunk cannot have the box head {settings.box_head!r}.")
    if settings.trunk == "c4" and settings.head_norm:
        raise UsageError("head_norm is for fpn; the head of c4 has its norm layers in any case.")
    if settings.trunk == "fpn" and len(settings.anchors_px) != len(FPN_LEVELS):
        raise UsageError(f"fpn needs {len(FPN_LEVELS)} anchors_px, one a level; found {len(settings.anchors_px)}.")


def scale_to_batch(settings: DetectionSettings, batch_size: int) -> dict[str, Any]:
    """The settings that change with another batch size: the learning rate in proportion, counts of iterations
    inversely.

    Batch norm sees other batches then, so the result is that of another protocol. Source: Goyal et al. 2017
    (arXiv:1706.02677).
    """
    scale = batch_size / settings.batch_size
    return {"batch_size": batch_size, "lr": settings.lr * scale, **scale_schedule(settings, 1 / scale)}


def scale_schedule(settings: DetectionSettings, factor: float) -> dict[str, Any]:
    """Every count of iterations times `factor`: a tenth of a schedule warms up and falls at a tenth too."""
    return {
        "iterations": round(settings.iterations * factor),
        "lr_steps": tuple(round(step * factor) for step in settings.lr_steps),
        "warmup_iterations": round(settings.warmup_iterations * factor),
    }
