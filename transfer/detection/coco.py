"""COCO detection and instance segmentation: a Mask R-CNN is built on the encoder, and both are fine-tuned.

    goodviews transfer coco-fpn-1x --encoder E --data DIR --out runs/coco

Three detectors, which must not share a column: a supervised ResNet-50 reaches a box AP of 38.2, 38.9 and 39.7 in them
after the same 90,000 iterations.

- `coco-c4-*`: Mask R-CNN on C4 with an extra batch norm, as MoCo, InfoMin and CLSA used it.
- `coco-fpn-*`: InfoMin's detector on the pyramid: four convolutions and a linear layer see a box, with batch norm in
  all heads. Published, box / mask AP after 1x: random 32.8 / 29.9, supervised 39.7 / 35.9, MoCo v2 39.8 / 36.1,
  InfoMin 40.6 / 36.7.
- `coco-fpn-std-*`: MoCo's detector on the pyramid: two linear layers, no norm in the heads.

All train on train2017 with 16 photos at a time, short sides 640 to 800, and are measured on val2017 at 800; 1x is
90,000 iterations, 2x 180,000, 6x 540,000. Measured here: not yet; 1x takes 6 to 15 hours on eight V100. Each task has
two shorter ones under names of their own, `-tenth` and `-smoke`; their numbers compare with no published one.

Source: PyContrast (HobbitLong/PyContrast, detection/configs) and MoCo (facebookresearch/moco, detection/configs).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..datasets.coco_layout import LAYOUT
from ..task import Task, name_after_function
from .benchmark import DATASETS_VARIABLE, INTERVAL_HOLDS, DetectionBenchmark, Scores
from .settings import scale_schedule

if TYPE_CHECKING:
    import numpy as np

    from ...hub.deep_pixels import Values
    from ..data_check import DataCheck
    from ..datasets.detection_data import DetectionData
    from ..evaluation.precision_recall import ByClass
    from .detector import Detections

PUBLISHED_DATA: dict[str, Any] = {
    "train": "train2017",
    "train_images": 118_287,
    "test": "val2017",
    "test_images": 5_000,
    "classes": 80,
}
Schedule = Literal["1x", "2x", "6x"]
ITERATIONS = {  # and the two steps
    "1x": (90_000, 60_000, 80_000),
    "2x": (180_000, 120_000, 160_000),
    "6x": (540_000, 480_000, 520_000),
}


@name_after_function
def coco_c4_1x() -> Task:
    """Mask R-CNN on C4 with an extra batch norm, 90,000 iterations: InfoMin's shorter setting."""
    return _task(c4("1x"))


@name_after_function
def coco_c4_2x() -> Task:
    """Mask R-CNN on C4 with an extra batch norm, 180,000 iterations: InfoMin's, and MoCo's and CLSA's for COCO."""
    return _task(c4("2x"))


@name_after_function
def coco_fpn_1x() -> Task:
    """InfoMin's Mask R-CNN on the pyramid: 4 convolutions and a linear layer, norm in all heads; 90,000 iterations."""
    return _task(fpn("1x"))


@name_after_function
def coco_fpn_2x() -> Task:
    """InfoMin's Mask R-CNN on the pyramid, 180,000 iterations."""
    return _task(fpn("2x"))


@name_after_function
def coco_fpn_6x() -> Task:
    """InfoMin's Mask R-CNN on the pyramid, 540,000 iterations, steps at 480,000 and 520,000: here random
    initialisation passes supervised pretraining."""
    return _task(fpn("6x"))


@name_after_function
def coco_fpn_std_1x() -> Task:
    """MoCo's Mask R-CNN on the pyramid: two linear layers, no norm in the heads; 90,000 iterations."""
    return _task(fpn_std("1x"))


@name_after_function
def coco_fpn_std_2x() -> Task:
    """MoCo's Mask R-CNN on the pyramid, 180,000 iterations."""
    return _task(fpn_std("2x"))


@name_after_function
def coco_fpn_std_6x() -> Task:
    """MoCo's Mask R-CNN on the pyramid, 540,000 iterations, steps at 480,000 and 520,000."""
    return _task(fpn_std("6x"))


@dataclass(frozen=True)
class CocoDetection(DetectionBenchmark):
    """The protocol of the COCO tasks. predictions.json holds the entries of a COCO results file."""

    data_name: ClassVar[str] = "COCO"
    has_masks: ClassVar[bool] = True
    published_data: ClassVar[dict[str, Any]] = PUBLISHED_DATA

    schedule: Schedule = "1x"  # of the published task that this is, shortens or changes

    def published(self) -> CocoDetection:
        """The whole task that these settings are, shorten or change."""
        if self.trunk == "c4":
            return c4(self.schedule)
        return fpn(self.schedule) if self.box_head == "4conv1fc" else fpn_std(self.schedule)

    def check_data(self, folder: Path, values: Values | None = None) -> DataCheck:
        from ..datasets.coco import check_coco

        return check_coco(folder, needs_masks=self.masks, values=values)

    def read_what_can_be(self, folder: Path) -> DetectionData | None:
        from ..datasets.coco import read_with_problems

        return read_with_problems(folder)[0]

    def read(self, folder: Path, values: Values | None = None) -> DetectionData:
        from ..datasets.coco import read_coco
        from ..evaluation.coco import coco_scores  # noqa: F401  # what scores must be installed before hours of training

        return read_coco(folder, needs_masks=self.masks, decode=True, values=values)

    def score(self, detections: Sequence[Detections], data: DetectionData) -> Scores:
        from ..evaluation.coco import coco_scores
        from ..evaluation.coco_matching import coco_curves, match_overlaps, resample_matches
        from ..evaluation.matches import METRICS, with_intervals
        from ..evaluation.precision_recall import ByClass

        metrics: dict[str, float] = {}
        resampled: dict[str, np.ndarray] = {}
        details: dict[str, Any] = {}
        by_class: list[ByClass] = []
        kinds: dict[Literal["boxes", "masks"], str] = {"boxes": "", **({"masks": "mask_"} if self.masks else {})}
        for kind, prefix in kinds.items():
            scores = coco_scores(detections, data.test, data.classes, kind=kind)
            matches = match_overlaps(scores.overlaps, len(data.test), data.classes)  # once, for draws and curves
            draws = {prefix + name: values for name, values in zip(METRICS, resample_matches(matches).T)}
            metrics |= with_intervals({prefix + name: value for name, value in scores.values.items()}, draws)
            resampled |= draws
            details[f"{prefix}AP_per_class"] = scores.per_class
            by_class.append(ByClass(f"{prefix}AP", scores.per_class, coco_curves(matches)))
        return Scores(metrics, "AP", resampled, tuple(by_class), details)

    def predictions(self, detections: Sequence[Detections], data: DetectionData) -> list[dict[str, Any]]:
        from ..evaluation.coco import as_results

        number = dict(zip(data.classes, data.category_ids))
        return [entry for one in detections for entry in as_results(one, int(one.photo_id), number)]


def c4(schedule: Schedule) -> CocoDetection:
    """Mask R-CNN on C4."""
    iterations, *steps = ITERATIONS[schedule]
    return CocoDetection(
        schedule=schedule,
        masks=True,
        iterations=iterations,
        lr_steps=tuple(steps),
        warmup_iterations=1_000,
        short_sides_px=(640, 672, 704, 736, 768, 800),
    )


def fpn(schedule: Schedule) -> CocoDetection:
    """InfoMin's detector on the pyramid."""
    return replace(fpn_std(schedule), box_head="4conv1fc", head_norm=True)


def fpn_std(schedule: Schedule) -> CocoDetection:
    """MoCo's detector on the pyramid."""
    changes: dict[str, Any] = {"trunk": "fpn", "box_head": "2fc", "roi_px": 7}
    return replace(c4(schedule), **changes, proposals_before_nms=(2_000, 1_000), proposals=(1_000, 1_000))


def tenth(task: Task) -> Task:
    """A tenth of the schedule, steps and warm-up included."""
    whole = _settings(task)
    return replace(task, name=f"{task.name}-tenth", measure=replace(whole, **scale_schedule(whole, 1 / 10)))


def smoke(task: Task) -> Task:
    """Minutes on one CPU core with a small ResNet: 60 iterations for 1x, photos and regions far smaller."""
    whole = _settings(task)
    small = replace(
        whole,
        **scale_schedule(whole, 1 / 1_500),
        batch_size=4,
        lr=whole.lr * 4 / whole.batch_size,
        precise_bn_iterations=8,
        short_sides_px=(96, 112, 128),
        test_short_side_px=112,
        long_side_px=224,
        proposals=(200, 20),
        roi_samples=16,
        roi_px=4 if whole.trunk == "c4" else whole.roi_px,
    )
    return replace(task, name=f"{task.name}-smoke", measure=small)


def with_short_budgets(*tasks: Callable[[], Task]) -> tuple[Callable[[], Task], ...]:
    """The tasks, each followed by itself on two short budgets: NAME_tenth and NAME_smoke."""
    return tuple(each for make in tasks for each in (make, _shorten(make, tenth), _shorten(make, smoke)))


def _shorten(make: Callable[[], Task], shorten: Callable[[Task], Task]) -> Callable[[], Task]:
    def short() -> Task:
        return shorten(make())

    short.__name__ = f"{make.__name__}_{shorten.__name__}"
    short.__doc__ = f"{shorten.__doc__} Compares with no published number."
    return short


def _settings(task: Task) -> CocoDetection:
    assert isinstance(task.measure, CocoDetection)
    return task.measure


def _task(settings: CocoDetection) -> Task:
    return Task(
        takes_processes=True,
        fine_tuned="the whole detector",
        metric="box AP, COCO, %",
        primary="AP",
        layout=LAYOUT,
        measure=settings,
        check=CocoDetection.check,
        draw=CocoDetection.draw_labels,
        data_variable=DATASETS_VARIABLE,
        description={
            "split": "trained on the train labels, crowds left out; tested on the val labels",
            "scoring": "COCO: 101 points, IoU 0.50 to 0.95, 100 detections, crowds ignored",
            "interval": "95 % bootstrap over test photos",
            "interval_holds": INTERVAL_HOLDS,
        },
    )
