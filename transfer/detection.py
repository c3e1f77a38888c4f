"""What a detection protocol fixes, whichever engine trains it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DetectionSettings:
    """Faster R-CNN on a C4 trunk and its schedule. The defaults are the published VOC setting of 24,000 iterations.

    Source: detectron2 configuration of He et al. 2020 (MoCo, arXiv:1911.05722), as used for InfoMin and CLSA; what it
        does not name is
    detectron2's default.
    """

    # schedule
    iterations: int = 24_000
    lr_steps: tuple[int, ...] = (18_000, 22_000)  # the rate is multiplied by 0.1 at each
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
    flip: float = 0.5
    # region proposals
    anchors_px: tuple[int, ...] = (32, 64, 128, 256, 512)
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    rpn_samples: int = 256  # a photo; half of them positive
    proposals_before_nms: tuple[int, int] = (12_000, 6_000)  # training, test
    proposals: tuple[int, int] = (2_000, 1_000)
    # regions
    roi_samples: int = 512  # a photo; a quarter of them positive
    roi_px: int = 14
    min_score: float = 0.05
    nms_iou: float = 0.5
    detections_per_photo: int = 100

    def learning_rate(self, iteration: int) -> float:
        """The rate of an iteration, counted from 0; warm-up is part of the schedule."""
        rate = self.lr * 0.1 ** sum(iteration >= step for step in self.lr_steps)
        if iteration >= self.warmup_iterations:
            return rate
        done = iteration / self.warmup_iterations
        return rate * (0.001 * (1 - done) + done)


def scale_to_batch(settings: DetectionSettings, batch_size: int) -> dict[str, Any]:
    """The settings that change with another batch size: the rate in proportion, every count of iterations inversely.

    Batch norm sees other batches then, so the result is that of another protocol. Source: Goyal et al. 2017
    (arXiv:1706.02677).
    """
    scale = batch_size / settings.batch_size
    return {
        "batch_size": batch_size,
        "lr": settings.lr * scale,
        "iterations": round(settings.iterations / scale),
        "lr_steps": tuple(round(step / scale) for step in settings.lr_steps),
        "warmup_iterations": round(settings.warmup_iterations / scale),
    }
