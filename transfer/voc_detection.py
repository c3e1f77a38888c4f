"""VOC detection: the encoder becomes the trunk of a Faster R-CNN and is fine-tuned with it on photos in the VOC layout.

    goodviews transfer voc-detection --encoder E --data VOCdevkit --out runs/voc

Protocol `voc07+12-c4-24k`: that of MoCo (He et al. 2020, arXiv:1911.05722), by which InfoMin and CLSA were measured
too. Published, ResNet-50, AP50 / AP / AP75: random initialisation 60.2 / 33.8 / 33.1, supervised 81.3 / 53.5 / 58.8,
MoCo v2 (200 epochs) 82.4 / 57.0 / 63.6, InfoMin (200 epochs) 82.7 / 57.6 / 64.6. Measured here: not yet; a full run
takes hours on a GPU. Numbers of this engine are not those of detectron2: a report names the engine and what is known to
differ.

The shorter tasks run the same code with another budget under another name. They show that things work and which encoder
is the better start; their numbers compare with no published one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..hub.atomic import write_text
from ..hub.identity import encoder_id
from .detection import DetectionSettings, scale_to_batch
from .task import Measurement, Setup, Task, digest_of

if TYPE_CHECKING:
    from ..hub.encoder import Encoder
    from .trained_detector import Detector
    from .voc import VocData
    from .voc_evaluation import Detections, VocScores


PUBLISHED_DATA = {
    "train": "VOC2007 trainval + VOC2012 trainval",
    "train_images": 16_551,
    "test_images": 4_952,
    "classes": 20,
}


def voc_07_12_c4_24k() -> Task:
    """The published protocol: 24,000 iterations of 16 photos with their short side at 480 to 800."""
    return _task("voc07+12-c4-24k", VocDetection())


def voc_detection_tenth() -> Task:
    """A tenth of the iterations at half the size: about a fortieth of the work, for comparing encoders on one GPU."""
    settings = VocDetection(
        iterations=2_400,
        lr_steps=(1_800, 2_200),
        precise_bn_iterations=50,
        short_sides_px=tuple(range(240, 401, 16)),
        test_short_side_px=400,
        long_side_px=667,
    )
    return _task("voc-detection-tenth", settings)


def voc_detection_smoke() -> Task:
    """A minute on one CPU core with a ResNet-18: shows that the parts fit.

    Regions are pooled to 4 x 4, not 14 x 14: the trunk sees no more of photos this small, and most time is saved.
    """
    settings = VocDetection(
        iterations=70,
        lr_steps=(52, 64),
        warmup_iterations=8,
        batch_size=4,
        precise_bn_iterations=8,
        short_sides_px=(96, 112, 128),
        test_short_side_px=112,
        long_side_px=224,
        proposals=(200, 20),
        roi_samples=16,
        roi_px=4,
    )
    return _task("voc-detection-smoke", settings)


@dataclass(frozen=True)
class VocDetection(DetectionSettings):
    """The settings of the VOC tasks; called, it fine-tunes and scores.

    Beside the report it leaves detector.safetensors and detector.json (see `load_detector`), predictions.json (VOC's
    corners: 1-based, inclusive, rounded as scored), metrics.jsonl, resamples.csv and samples.png.
    """

    network: str = field(
        default="Faster R-CNN on C4: layer4 and an extra batch norm see each region; everything trains", init=False
    )
    split: str = field(default="trained on trainval, difficult objects too; tested on VOC2007 test", init=False)
    scoring: str = field(
        default="VOC 2007: eleven points, difficult ignored; classes with an object in test", init=False
    )
    interval: str = field(default="95 % bootstrap over test photos", init=False)

    def __call__(self, encoder: Encoder, data: Path, folder: Path, setup: Setup) -> Measurement:
        """Trains on `data`, where the encoder is. With `setup.cache` a run that was stopped continues from there.

        Raises:
            DataError: the data or a photo is wrong; see `voc.validate`.
            UsageError: the encoder is no ResNet.
        """
        from rich.progress import track

        from .drawing import draw_samples
        from .resamples import write_resamples
        from .torchvision_detector import DIFFERENCES
        from .trained_detector import save_detector
        from .voc import read_photo, read_voc
        from .voc_evaluation import classes_to_find, voc_intervals, voc_resampled, voc_scores

        changed = scale_to_batch(self, setup.batch_size) if setup.batch_size not in (None, self.batch_size) else {}
        settings = replace(self, **changed)
        voc = read_voc(data, decode=True)
        dataset = _describe(voc)
        detector, rows = _fine_tuned(encoder, voc, settings, setup, _state_file(encoder, dataset, settings, setup))
        photos = track(voc.test, "Finding boxes", disable=not setup.progress)
        found = [detector.detect(read_photo(photo), photo.id) for photo in photos]
        to_find = classes_to_find(voc.test)
        scores, resampled = voc_scores(found, voc.test, to_find), voc_resampled(found, voc.test, to_find)
        write_resamples(folder / "resamples.csv", len(voc.test), ("AP", "AP50", "AP75"), resampled)
        save_detector(detector, folder)
        _write_lines(folder / "metrics.jsonl", rows)
        _write_predictions(folder / "predictions.json", found)
        title = f"{encoder.origin.name}: AP50 {scores.ap50:.1f} % on {len(voc.test)} test photos"
        draw_samples(voc.test, found, detector.classes, title=title).save(folder / "samples.png", optimize=True)
        return Measurement(
            metrics=_metrics(scores, voc_intervals(resampled).tolist()),
            dataset=dataset,
            engine=f"torchvision {metadata.version('torchvision')}",
            changed={**changed, "differs_from_published": _differences(settings, dataset, DIFFERENCES)},
            details={"AP_AP50_AP75_per_class": scores.per_class, "final_loss": rows[-1]["loss"]},
        )


def _metrics(scores: VocScores, ends: list[list[float]]) -> dict[str, float]:
    (ap_low, ap50_low, ap75_low), (ap_high, ap50_high, ap75_high) = ends
    ap50 = {"AP50": scores.ap50, "AP50_low": ap50_low, "AP50_high": ap50_high}
    ap = {"AP": scores.ap, "AP_low": ap_low, "AP_high": ap_high}
    return {**ap50, **ap, "AP75": scores.ap75, "AP75_low": ap75_low, "AP75_high": ap75_high}


def _task(name: str, measure: VocDetection) -> Task:
    return Task(
        name=name,
        fine_tuned="the whole detector",
        metric="AP50, VOC 2007, %",
        primary="AP50",
        layout="DIR/VOC2007 and, if there, DIR/VOC2012: Annotations, JPEGImages, ImageSets/Main",
        measure=measure,
    )


def _fine_tuned(
    encoder: Encoder, voc: VocData, settings: VocDetection, setup: Setup, state: Path | None
) -> tuple[Detector, list[dict[str, float]]]:
    import torch

    from .torchvision_detector import c4_detector
    from .torchvision_engine import fine_tune
    from .trained_detector import Detector

    with torch.random.fork_rng([]):
        torch.manual_seed(setup.seed)  # of the new layers
        network = c4_detector(encoder.backbone, encoder.preprocessing, len(voc.classes), settings)
    network.to(next(encoder.parameters()).device)
    rows = fine_tune(
        network,
        voc.train,
        voc.classes,
        settings,
        seed=setup.seed,
        state=state,
        workers=setup.workers,
        progress=setup.progress,
    )
    return Detector(network, voc.classes, encoder.architecture, encoder.preprocessing, settings), rows


def _state_file(encoder: Encoder, dataset: dict[str, Any], settings: VocDetection, setup: Setup) -> Path | None:
    """Where a run of exactly this work keeps its state."""
    if setup.cache is None:
        return None
    work = [asdict(encoder_id(encoder)), dataset, asdict(settings), setup.seed]
    digest = hashlib.sha256(json.dumps(work).encode()).hexdigest()[:16]
    return setup.cache / f"voc-detection-{digest}.pt"


def _describe(voc: VocData) -> dict[str, Any]:
    return {
        "name": voc.name,
        "digest": digest_of(voc.root, voc.files),
        "train": " + ".join(voc.train_splits),
        "train_images": len(voc.train),
        "train_objects": sum(len(photo.objects) for photo in voc.train),
        "test": "VOC2007 test",
        "test_images": len(voc.test),
        "test_objects": sum(not thing.is_difficult for photo in voc.test for thing in photo.objects),
        "classes": len(voc.classes),
        "class_names": list(voc.classes),
    }


def _differences(settings: VocDetection, dataset: dict[str, Any], engine: tuple[str, ...]) -> list[str]:
    """What is not as published, in words: data, settings, and what the engine cannot do."""
    published = {**PUBLISHED_DATA, **asdict(VocDetection())}
    found = {**{name: dataset[name] for name in PUBLISHED_DATA}, **asdict(settings)}
    changed = [f"{name} {found[name]}, published {published[name]}" for name in found if found[name] != published[name]]
    return [*changed, *engine]


def _write_lines(path: Path, rows: list[dict[str, float]]) -> None:
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def _write_predictions(path: Path, found: list[Detections]) -> None:
    from .voc_evaluation import as_written

    entries = []
    for entry in found:
        boxes, scores = as_written(entry)
        entries.append({"photo": entry.photo_id, "boxes": boxes, "scores": scores, "classes": list(entry.names)})
    write_text(path, json.dumps(entries) + "\n")
