"""VOC detection: a Faster R-CNN is built on the encoder, and both are fine-tuned on photos in the VOC layout.

    goodviews transfer voc-detection --encoder E --data VOCdevkit --out runs/voc

Protocol `voc07+12-c4-24k`: that of MoCo (He et al. 2020, arXiv:1911.05722), by which InfoMin and CLSA were measured
too. Published, ResNet-50, AP50 / AP / AP75: random initialisation 60.2 / 33.8 / 33.1, supervised 81.3 / 53.5 / 58.8,
MoCo v2 (200 epochs) 82.4 / 57.0 / 63.6, InfoMin (200 epochs) 82.7 / 57.6 / 64.6. Measured here: not yet; a full run
takes hours on a GPU. A report names the engine that measured, and the known differences from what was published.

The shorter tasks run the same code with another budget under another name. They show that the parts fit and which
encoder is the better start; their numbers compare with no published one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..task import Task, name_after_function
from .benchmark import DATASETS_VARIABLE, INTERVAL_HOLDS, DetectionBenchmark, Scores
from .settings import scale_schedule

if TYPE_CHECKING:
    from ...hub.deep_pixels import Values
    from ..data_check import DataCheck
    from ..datasets.detection_data import DetectionData
    from .detector import Detections

PUBLISHED_DATA: dict[str, Any] = {
    "train": "VOC2007 trainval + VOC2012 trainval",
    "train_images": 16_551,
    "test_images": 4_952,
    "classes": 20,
}


@name_after_function
def voc_detection() -> Task:
    """The published protocol: 24,000 iterations of 16 photos with their short side at 480 to 800."""
    return replace(_task(VocDetection()), name="voc07+12-c4-24k")


@name_after_function
def voc_detection_tenth() -> Task:
    """A tenth of the iterations at half the size: about a fortieth of the work, for comparing encoders on one GPU."""
    settings = VocDetection(
        **scale_schedule(VocDetection(), 1 / 10),
        precise_bn_iterations=50,
        short_sides_px=tuple(range(240, 401, 16)),
        test_short_side_px=400,
        long_side_px=667,
    )
    return _task(settings)


@name_after_function
def voc_detection_smoke() -> Task:
    """A minute on one CPU core with a ResNet-18: shows that the parts fit.

    Regions are pooled to 4 x 4, not 14 x 14: photos this small hold no more detail, and it saves most of the time.
    """
    whole = VocDetection()
    settings = replace(
        whole,
        iterations=70,
        lr_steps=(52, 64),
        warmup_iterations=8,
        batch_size=4,
        lr=whole.lr * 4 / whole.batch_size,
        precise_bn_iterations=8,
        short_sides_px=(96, 112, 128),
        test_short_side_px=112,
        long_side_px=224,
        proposals=(200, 20),
        roi_samples=16,
        roi_px=4,
    )
    return _task(settings)


@dataclass(frozen=True)
class VocDetection(DetectionBenchmark):
    """The protocol of the VOC tasks. predictions.json holds VOC's corners: 1-based, inclusive, rounded as scored."""

    data_name: ClassVar[str] = "VOC"
    has_masks: ClassVar[bool] = False
    published_data: ClassVar[dict[str, Any]] = PUBLISHED_DATA

    def published(self) -> VocDetection:
        return VocDetection()

    def check_data(self, folder: Path, values: Values | None = None) -> DataCheck:
        from ..datasets.voc import check_voc

        return check_voc(folder, values)

    def read_what_can_be(self, folder: Path) -> DetectionData | None:
        from ..datasets.voc import read_with_problems

        return read_with_problems(folder)[0]

    def read(self, folder: Path, values: Values | None = None) -> DetectionData:
        from ..datasets.voc import read_voc

        return read_voc(folder, decode=True, values=values)

    def score(self, detections: Sequence[Detections], data: DetectionData) -> Scores:
        from ..evaluation.matches import METRICS, with_intervals
        from ..evaluation.precision_recall import ByClass
        from ..evaluation.voc import classes_to_find, resample_matches, score_matches, voc_curves
        from ..evaluation.voc_matching import match_detections

        matches = match_detections(detections, data.test, classes_to_find(data.test))  # once, for all that follows
        scores, draws = score_matches(matches), dict(zip(METRICS, resample_matches(matches).T))
        metrics = with_intervals({"AP50": scores.ap50, "AP": scores.ap, "AP75": scores.ap75}, draws)
        ap50 = {name: values[1] for name, values in scores.per_class.items()}
        by_class = ByClass("AP50", ap50, voc_curves(matches))
        return Scores(metrics, "AP50", draws, (by_class,), {"AP_AP50_AP75_per_class": scores.per_class})

    def predictions(self, detections: Sequence[Detections], data: DetectionData) -> list[dict[str, Any]]:
        from ..evaluation.voc_matching import to_voc_form

        entries = []
        for one in detections:
            boxes, scores = to_voc_form(one)
            entries.append({"photo": one.photo_id, "boxes": boxes, "scores": scores, "classes": list(one.names)})
        return entries


def _task(settings: VocDetection) -> Task:
    return Task(
        takes_processes=True,
        fine_tuned="the whole detector",
        metric="AP50, VOC 2007, %",
        primary="AP50",
        layout="DIR/VOC2007 and, if there, DIR/VOC2012: Annotations, JPEGImages, ImageSets/Main",
        measure=settings,
        check=VocDetection.check,
        draw=VocDetection.draw_labels,
        data_variable=DATASETS_VARIABLE,
        description={
            "network": "Faster R-CNN on C4: layer4 and an extra batch norm see each region; everything trains",
            "split": "trained on trainval, difficult objects too; tested on VOC2007 test",
            "scoring": "VOC 2007: eleven points, difficult ignored; classes with an object in test; as detectron2's "
            "but for the order of equal scores, which is that of the photos",
            "interval": "95 % bootstrap over test photos",
            "interval_holds": INTERVAL_HOLDS,
        },
    )
