"""A finished detection run: its detector and its report, from which the detector is scored again without training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ...hub.errors import DataError, UsageError
from ...hub.files.atomic import new_folder
from ...hub.reports.report import Protocol, Report, gather_evidence, load_report, save_report
from .load_detector import load_detector
from .settings import DetectionSettings

if TYPE_CHECKING:
    from ..datasets.detection_data import DetectionData
    from ..task import Setup, Task
    from .detector import Detections, Detector

_OF_TRAINING = ("train", "train_images", "train_objects", "classes", "class_names")  # keys of Report.dataset

Settings = TypeVar("Settings", bound=DetectionSettings)


@dataclass(frozen=True)
class FinishedRun:
    """The folder that `goodviews transfer` left."""

    detector: Detector
    report: Report

    def protocol(self, task: str, version: int, settings: Mapping[str, Any]) -> Protocol:
        """That of the run itself if it was of this task, with or without changes; else of the task, and says so."""
        theirs = self.report.protocol
        if theirs.name == task or theirs.name.startswith(f"{task} ["):
            return theirs
        return Protocol(f"{task} [detector of {theirs.name}]", version, dict(settings))

    def dataset(self, tested: dict[str, Any]) -> dict[str, Any]:
        """For Report.dataset: on the run's own data as it was, else the test part of the new data beside the old.

        Args:
            tested: The new data as `benchmark.describe` has them.
        """
        theirs = self.report.dataset
        if tested["digest"] == theirs.get("digest"):
            return theirs
        trained = {name: theirs[name] for name in _OF_TRAINING if name in theirs}
        return {**tested, **trained, "trained_on": f"{theirs.get('name')} {theirs.get('digest')}"}


def score_run(
    task: Task, run: Path, data: Path, out: Path, *, device: str, setup: Setup, overwrite: bool = False
) -> Report:
    """Scores the detector of a finished run on `data` without training, and makes the folder `out` as `Task.run` does.

    The report is of the run's encoder and seed; on the run's own data it shares a column with the run's.

    Raises:
        OutputExists: `out` exists and `overwrite` is not set.
        DataError: `run` has no report, or `data` is not laid out as the task says.
        ArtifactError: the detector is missing or damaged.
        UsageError: the task trains no detector.
    """
    evaluate = getattr(task.measure, "evaluate", None)
    if evaluate is None:
        raise UsageError(f"{task.name} trains no detector; give --encoder.")
    finished = open_run(run, device)
    with new_folder(out, overwrite, kind="result", inputs=(data, run)) as folder:
        with gather_evidence() as evidence:
            measurement = evaluate(finished, data, folder, setup)
        report = task.report(measurement, finished.report.encoder, finished.report.seed, evidence)
        protocol = finished.protocol(task.name, task.version, measurement.run_settings)
        save_report(replace(report, protocol=protocol), folder / "report.json")
    return replace(report, protocol=protocol)


def open_run(folder: Path, device: str) -> FinishedRun:
    """The detector on a device, and the report beside it.

    Raises:
        DataError: the folder has no report.
        ArtifactError: a file of the detector is missing, damaged or not ours.
        UsageError: detectron2 trained it and is not installed here.
    """
    if not (folder / "report.json").is_file():
        raise DataError(
            f"{folder} has no report.json; give the folder of a finished detection run of `goodviews transfer`."
        )
    report = load_report(folder / "report.json")
    return FinishedRun(load_detector(folder).to(device), report)


def with_settings_of(protocol: Settings, detector: Detector) -> Settings:
    """The protocol with the settings that the detector was trained by."""
    values = {field.name: getattr(detector.settings, field.name) for field in fields(DetectionSettings)}
    return replace(protocol, **values)


def only_known(detections: Detections, data: DetectionData) -> Detections:
    """The detections of classes that the data have; others can be neither right nor wrong there."""
    chosen = [place for place, name in enumerate(detections.names) if name in data.classes]
    return replace(
        detections,
        boxes=detections.boxes[chosen],
        scores=detections.scores[chosen],
        names=tuple(detections.names[place] for place in chosen),
        masks=None if detections.masks is None else tuple(detections.masks[place] for place in chosen),
    )


def check_classes(detector: Detector, data: DetectionData) -> None:
    """Raises DataError where the detector knows no class of the data."""
    if not set(detector.classes) & set(data.classes):
        known, there = (", ".join(names[:10]) for names in (detector.classes, data.classes))
        raise DataError(f"The detector finds {known}; {data.root} has {there}, and no class is in both.")
