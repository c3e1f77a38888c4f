"""The way of every detection task: read photos, fine-tune by an engine, find objects in test photos, score, write.

A family of tasks (VOC, COCO) is a `Benchmark`: how its data are read and how its results are scored and written. A
task's measure is a frozen dataclass of `DetectionSettings` whose call is `measure(...)` here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...hub.atomic import write_text
from ...hub.errors import UsageError
from ..data_digest import digest_of
from ..task import Measurement, Setup, require_above_zero
from .settings import DetectionSettings, check_network, scale_to_batch

if TYPE_CHECKING:
    from ...hub.encoder import Encoder
    from ..data_check import DataCheck
    from ..datasets.labelled_photos import DetectionData
    from ..evaluation.precision_recall import ByClass
    from .settings import Detections, Engine, Row

DATASETS_VARIABLE = "DETECTRON2_DATASETS"  # detectron2's own name for the folder of VOC2007, VOC2012 and coco
DETECTRON2_LACKS = (
    "detectron2 is not installed; `goodviews doctor` says how to get it. With --engine torchvision the same task runs "
    "without it."
)


@dataclass(frozen=True)
class Scored:
    """What was measured on the test photos."""

    metrics: dict[str, float]  # with the ends of intervals, NAME_low and NAME_high
    primary: str  # a key of metrics
    resampled: dict[str, np.ndarray]  # (draws,) a metric on each draw of `resamples.draw_images`
    by_class: tuple[ByClass, ...]
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Benchmark:
    """How a family of detection tasks reads its data, and how it scores and writes what was found."""

    name: str  # of who made the data, as in messages
    has_masks: bool  # whether objects are labelled with masks too
    find_problems: Callable[[Any, Path], DataCheck]  # that data have
    read: Callable[[Path, DetectionSettings], DetectionData]
    score: Callable[[Sequence[Detections], DetectionData, DetectionSettings], Scored]
    as_written: Callable[[Sequence[Detections], DetectionData], list[dict[str, Any]]]  # entries of predictions.json
    published_data: Mapping[str, Any]  # what Report.dataset says of the published data

    def check(self, settings: DetectionSettings, data: Path) -> DataCheck:
        """For `Task.check`.

        Raises:
            UsageError: a setting cannot be.
            DataError: the folder is not laid out so.
        """
        check_settings(settings, self)
        return self.find_problems(settings, data)


def measure(
    settings: DetectionSettings,
    benchmark: Benchmark,
    encoder: Encoder,
    data: Path,
    folder: Path,
    setup: Setup,
    *,
    published: DetectionSettings,
) -> Measurement:
    """Trains on `data`, where the encoder is. With `setup.cache` a run that was stopped continues from there.

    Leaves the detector (see `load_detector`), predictions.json, metrics.jsonl, resamples.csv and pictures (see
    `_draw`) in `folder`.

    Args:
        settings: of the task.
        benchmark: of the task's family.
        encoder: what is measured.
        data: the data folder.
        folder: where files are left.
        setup: what the user chose.
        published: the settings that published numbers are of; the report names what is not as there.

    Raises:
        DataError: the data or a photo is wrong.
        UsageError: the engine cannot build a detector on the encoder, or is not there, or a setting cannot be.
    """
    from rich.progress import track

    from ...hub.comparison.resamples import write_resamples
    from ..datasets.labelled_photos import read_photo

    engine = choose_engine(setup, encoder, settings)
    changed = scale_to_batch(settings, setup.batch_size) if setup.batch_size not in (None, settings.batch_size) else {}
    settings = replace(settings, **changed)
    check_settings(settings, benchmark)
    photos = benchmark.read(data, settings)
    dataset = describe(photos)
    detector, rows = engine.fine_tune(
        encoder,
        photos,
        settings,
        seed=setup.seed,
        state=_state(encoder, dataset, settings, setup, engine),
        workers=setup.workers,
        progress=setup.progress,
    )
    waiting = track(photos.test, "Finding boxes", disable=not setup.progress)
    found = [detector.detect(read_photo(photo), photo.id) for photo in waiting]
    scored = benchmark.score(found, photos, settings)
    names, values = tuple(scored.resampled), tuple(scored.resampled.values())
    write_resamples(folder / "resamples.csv", len(photos.test), names, np.stack(values, axis=1))
    detector.save(folder)
    _write_lines(folder / "metrics.jsonl", rows)
    write_text(folder / "predictions.json", json.dumps(benchmark.as_written(found, photos)) + "\n")
    _draw(encoder.origin.name, scored, found, photos, folder)
    differs = [*_differences(settings, published, dataset, benchmark), *engine.differences(settings)]
    return Measurement(
        metrics=scored.metrics,
        dataset=dataset,
        engine=engine.version(),
        changed={**changed, "processes": setup.processes},
        description={"differs_from_published": differs},
        details={**scored.details, "final_loss": rows[-1]["loss"]},
    )


def check_settings(settings: DetectionSettings, benchmark: Benchmark) -> None:
    """Raises UsageError where settings contradict each other or what the data have, or a number is not above 0."""
    check_network(settings)
    if settings.masks and not benchmark.has_masks:
        raise UsageError(f"{benchmark.name}'s annotations have boxes and no masks; the COCO tasks learn masks.")
    require_above_zero(settings, "iterations", "batch_size", "lr", "detections_per_photo")
    require_above_zero(settings, "short_sides_px", "test_short_side_px", "long_side_px")
    require_above_zero(settings, "anchors_px", "anchor_ratios", "rpn_samples", "proposals_before_nms", "proposals")
    require_above_zero(settings, "roi_samples", "roi_px", "mask_roi_px")


def _draw(name: str, scored: Scored, found: Sequence[Detections], data: DetectionData, folder: Path) -> None:
    """samples.png, and curves.png and classes.png, for masks too as mask_curves.png and mask_classes.png."""
    from .curves_page import draw_classes, draw_curves
    from .samples_page import draw_samples

    def title(metric: str) -> str:
        return f"{name}: {metric.replace('_', ' ')} {scored.metrics[metric]:.1f} % on {len(data.test)} test photos"

    page = draw_samples(data.test, found, data.classes, title=title(scored.primary))
    page.save(folder / "samples.png", optimize=True)
    for one in scored.by_class:
        prefix = "mask_" if one.metric.startswith("mask_") else ""
        draw_curves(one, folder / f"{prefix}curves.png", title=title(one.metric))
        draw_classes(one, folder / f"{prefix}classes.png", title=title(one.metric))


def choose_engine(setup: Setup, encoder: Encoder, settings: DetectionSettings) -> Engine:
    """The engine that was asked for; "auto" is the published one, detectron2, where it is installed, the encoder on a
    GPU and one that it can build this detector on.

    Raises:
        UsageError: detectron2 is asked for and not installed, or torchvision what detectron2 alone can do.
    """
    is_installed = find_spec("detectron2") is not None
    if setup.engine == "detectron2" and not is_installed:
        raise UsageError(DETECTRON2_LACKS)
    is_wanted = is_installed and encoder.device.type == "cuda" and _detectron2_builds(encoder, settings)
    if setup.engine == "detectron2" or (setup.engine == "auto" and is_wanted):
        from ..detectron2_engine.engine import Detectron2Engine

        return Detectron2Engine(setup.processes, setup.evaluate_every)
    if setup.processes != 1 or setup.evaluate_every:
        raise UsageError("--processes and --evaluate-every are for detectron2, and this run is on torchvision.")
    from ..torchvision_engine.engine import TorchvisionEngine

    return TorchvisionEngine()


def _detectron2_builds(encoder: Encoder, settings: DetectionSettings) -> bool:
    from ..detectron2_engine.tensor_names import shape_of

    shapes = {name: tuple(tensor.shape) for name, tensor in encoder.backbone.state_dict().items()}
    try:
        shape_of(shapes, encoder.architecture, settings.trunk)
    except UsageError:
        return False
    return True


def describe(data: DetectionData) -> dict[str, Any]:
    """For Report.dataset: names, counts and a digest of everything read."""
    return {
        "name": data.name,
        "digest": digest_of(data.root, data.files),
        "train": " + ".join(data.train_splits),
        "train_images": len(data.train),
        "train_objects": sum(len(photo.objects) for photo in data.train),
        "test": data.test_split,
        "test_images": len(data.test),
        "test_objects": sum(
            not (thing.is_difficult or thing.is_crowd) for photo in data.test for thing in photo.objects
        ),
        "classes": len(data.classes),
        "class_names": list(data.classes),
    }


def _state(
    encoder: Encoder, dataset: dict[str, Any], settings: DetectionSettings, setup: Setup, engine: Engine
) -> Path | None:
    """Where a run of exactly this work keeps its state."""
    if setup.cache is None:
        return None
    work = [encoder.report_id().to_json(), dataset, asdict(settings), setup.seed, engine.version()]
    digest = hashlib.sha256(json.dumps(work).encode()).hexdigest()[:16]
    return setup.cache / f"detection-{digest}"


def _differences(
    settings: DetectionSettings, published: DetectionSettings, dataset: dict[str, Any], benchmark: Benchmark
) -> list[str]:
    """What is not as published, in words: data and settings."""
    known = {**benchmark.published_data, **asdict(published)}
    found = {**{name: dataset[name] for name in benchmark.published_data}, **asdict(settings)}
    return [f"{name} {found[name]}, published {known[name]}" for name in found if found[name] != known[name]]


def _write_lines(path: Path, rows: Sequence[Row]) -> None:
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
