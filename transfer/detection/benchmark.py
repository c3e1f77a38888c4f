"""The road of every detection task: read the photos, fine-tune a detector, find objects in test photos, score, write.

`DetectionBenchmark` goes this road and asks a subclass, the protocol, for what differs: how data are read, scored and
written. `voc.py` and `coco.py` hold the two protocols.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...hub.errors import DataError, UsageError
from ...hub.files.atomic import write_text
from ...hub.files.locks import sole_writer
from ..copies import note_copies
from ..data_digest import digest_of
from ..task import Measurement, Setup
from .choose_engine import choose_engine
from .settings import DetectionSettings, check_settings, scale_to_batch

if TYPE_CHECKING:
    from PIL import Image

    from ...hub.deep_pixels import Values
    from ...hub.encoder import Encoder
    from ..data_check import DataCheck
    from ..datasets.detection_data import DetectionData
    from ..evaluation.precision_recall import ByClass
    from .detector import Detections, Detector, Engine
    from .finished_run import FinishedRun

DATASETS_VARIABLE = "DETECTRON2_DATASETS"  # detectron2's own name for the folder of VOC2007, VOC2012 and coco

INTERVAL_HOLDS = (
    "the chance of these test photos and not the spread between runs: the same command with another --seed gives "
    "another score, on small data by more than the interval says"
)


@dataclass(frozen=True)
class Scores:
    """What was measured on the test photos."""

    metrics: dict[str, float]  # with the ends of intervals, NAME_low and NAME_high
    primary: str  # a key of metrics
    resampled: dict[str, np.ndarray]  # (draws,) a metric on each draw of `resamples.draw_images`
    by_class: tuple[ByClass, ...]
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DetectionBenchmark(DetectionSettings, ABC):
    """The settings of a detection task; called, it fine-tunes a detector and scores it."""

    data_name: ClassVar[str]  # of the published data, as in messages
    has_masks: ClassVar[bool]  # whether their objects are labelled with masks too
    published_data: ClassVar[Mapping[str, Any]]  # what Report.dataset holds for them

    def __call__(self, encoder: Encoder, data: Path, folder: Path, setup: Setup) -> Measurement:
        """Trains on `data`, on the encoder's device. With `setup.cache` a run that was stopped continues from there.

        Leaves in `folder` the detector (see `load_detector`), predictions.json, metrics.jsonl, resamples.csv and
        pictures.

        Raises:
            DataError: the data or a photo is wrong.
            UsageError: the engine is missing or cannot build a detector on the encoder, or a setting is wrong.
            Busy: another process trains the same detector with the same cache.
        """
        from ..training_state import state_path, write_rows

        engine = choose_engine(setup, encoder, self)
        is_scaled = setup.batch_size not in (None, self.batch_size)
        changed = scale_to_batch(self, setup.batch_size or 0) if is_scaled else {}
        protocol = replace(self, **changed)
        protocol.validate()
        photos = protocol.read(data, encoder.preprocessing.values)
        dataset = describe(photos)
        copies = note_copies(photos.train.paths(), photos.test.paths())
        content = {name: value for name, value in dataset.items() if name != "name"}  # the folder may be renamed
        work = [encoder.report_id().report_json(), content, asdict(protocol), setup.seed, engine.version()]
        state = state_path(setup.cache, "detection", work, must_exist=setup.resume is True)
        with nullcontext() if state is None else sole_writer(state):
            detector, rows = engine.fine_tune(
                encoder,
                photos,
                protocol,
                seed=setup.seed,
                state=state,
                state_every_s=setup.save_every_s,
                workers=setup.workers,
                tensorboard=folder if setup.tensorboard else None,
                progress=setup.progress,
            )
        detector.save(folder)
        write_rows(folder / "metrics.jsonl", rows)
        scores = protocol._find_and_score(detector, photos, folder, encoder.origin.name, is_bar_shown=setup.progress)
        return Measurement(
            metrics=scores.metrics,
            dataset=dataset,
            engine=engine.version(),
            run_settings={**changed, "processes": setup.process_count},
            description={
                "differs_from_published": protocol._differences(dataset, engine),
                **describe_controls(scores.details),
            },
            details={**scores.details, **copies, "final_loss": rows[-1]["loss"]},
        )

    def evaluate(self, run: FinishedRun, data: Path, folder: Path, setup: Setup) -> Measurement:
        """Scores the detector of a finished run on the test photos of `data`; trains nothing.

        Leaves in `folder` predictions.json, resamples.csv and pictures.

        Raises:
            DataError: the data or a photo is wrong, or the detector knows none of its classes.
        """
        from .finished_run import check_classes, with_settings_of

        protocol = with_settings_of(self, run.detector)
        protocol = replace(protocol, masks=protocol.masks and self.has_masks)
        photos = protocol.read(data, run.detector.preprocessing.values)
        check_classes(run.detector, photos)
        name = run.report.encoder.name
        scores = protocol._find_and_score(run.detector, photos, folder, name, is_bar_shown=setup.progress)
        trained = run.report.evidence
        return Measurement(
            metrics=scores.metrics,
            dataset=run.dataset(describe(photos)),
            engine=run.report.engine,
            run_settings=asdict(protocol),
            description={
                **run.report.description,
                "evaluation": "of a detector trained before; nothing was trained for this report",
                **describe_controls(scores.details),
            },
            details={**scores.details, "trained_by": {"command": trained.command, "commit": trained.commit}},
        )

    def check(self, data: Path, values: Values | None = None) -> DataCheck:
        """For `Task.check`.

        Args:
            values: of photos of more than 8 bits, which are black and white; see `hub.deep_pixels`.

        Raises:
            UsageError: a setting is wrong.
            DataError: the folder has another layout.
        """
        self.validate()
        return self.check_data(data, values)

    def draw_labels(self, data: Path, values: Values | None = None) -> Image.Image:
        """For `Task.draw`; `values` as for `check`.

        Raises:
            DataError: the folder has another layout, or no photo that can be drawn.
        """
        from .labels_page import draw_labels

        found = self.read_what_can_be(data)
        if found is None or not found.train:
            raise DataError(f"{data} has no training photo that can be drawn; --check without --draw says why.")
        return draw_labels(found.with_values(values))

    def validate(self) -> None:
        """Raises UsageError where settings contradict each other or the data, or a number is not above 0."""
        if self.masks and not self.has_masks:
            raise UsageError(f"{self.data_name}'s annotations have boxes and no masks; the COCO tasks learn masks.")
        check_settings(self)

    @abstractmethod
    def published(self) -> DetectionSettings:
        """The settings of the published numbers; a report names what differs from them."""

    @abstractmethod
    def check_data(self, folder: Path, values: Values | None = None) -> DataCheck:
        """Everything that is wrong with the data."""

    @abstractmethod
    def read_what_can_be(self, folder: Path) -> DetectionData | None:
        """The data without whatever is wrong with them; None where nothing can be used.

        Raises:
            DataError: the folder has another layout.
        """

    @abstractmethod
    def read(self, folder: Path, values: Values | None = None) -> DetectionData:
        """The data, complete and without problems; `values` is the encoder's range for photos of more than 8 bits.

        Raises:
            DataError: there is a problem.
        """

    @abstractmethod
    def score(self, detections: Sequence[Detections], data: DetectionData) -> Scores:
        """Scores one entry for each photo of `data.test`, in that order."""

    @abstractmethod
    def predictions(self, detections: Sequence[Detections], data: DetectionData) -> list[dict[str, Any]]:
        """The entries of predictions.json, in the form of the protocol's own results files."""

    def _find_and_score(
        self, detector: Detector, data: DetectionData, folder: Path, name: str, *, is_bar_shown: bool
    ) -> Scores:
        from ...hub.comparison.resamples import write_resamples
        from ...hub.output.progress import track
        from ..datasets.labelled_photos import read_photo
        from .controls import control_scores
        from .finished_run import only_known

        waiting = track(data.test, "Finding objects", is_shown=is_bar_shown)
        found = (detector.detect(read_photo(photo), photo.id) for photo in waiting)
        detections = [only_known(one, data) for one in found]
        scores = self.score(detections, data)
        metrics, values = tuple(scores.resampled), tuple(scores.resampled.values())
        write_resamples(folder / "resamples.csv", len(data.test), metrics, np.stack(values, axis=1))
        write_text(folder / "predictions.json", json.dumps(self.predictions(detections, data)) + "\n")
        draw_results(name, scores, detections, data, folder)
        controls = control_scores(detections, data, self)
        return replace(scores, details={**scores.details, "controls": controls}) if controls else scores

    def _differences(self, dataset: dict[str, Any], engine: Engine) -> list[str]:
        """What differs from the published measurement, in words: data, settings, engine."""
        published = {**self.published_data, **asdict(self.published())}
        ours = {**{name: dataset[name] for name in self.published_data}, **asdict(self)}
        differing = [
            f"{name} {ours[name]}, published {published[name]}" for name in ours if ours[name] != published[name]
        ]
        return [*differing, *engine.differences(self)]


def draw_results(
    name: str, scores: Scores, detections: Sequence[Detections], data: DetectionData, folder: Path
) -> None:
    """Draws samples.png, and curves.png and classes.png; those of masks are mask_curves.png and mask_classes.png."""
    from .curves_page import draw_classes, draw_curves
    from .samples_page import draw_samples

    def title(metric: str) -> str:
        return f"{name}: {metric.replace('_', ' ')} {scores.metrics[metric]:.1f} % on {len(data.test)} test photos"

    page = draw_samples(data.test, detections, data.classes, title=title(scores.primary))
    page.save(folder / "samples.png", optimize=True)
    for one in scores.by_class:
        prefix = "mask_" if one.metric.startswith("mask_") else ""
        draw_curves(one, folder / f"{prefix}curves.png", title=title(one.metric))
        draw_classes(one, folder / f"{prefix}classes.png", title=title(one.metric))


def describe_controls(details: Mapping[str, Any]) -> dict[str, str]:
    """For `Measurement.description`, where there are such scores."""
    from .controls import DESCRIPTION

    return {"controls": DESCRIPTION} if "controls" in details else {}


def describe(data: DetectionData) -> dict[str, Any]:
    """For Report.dataset: names, counts and a digest of everything read."""
    return {
        "name": data.name,
        "digest": digest_of(data.root, (*data.label_files, *data.photo_files)),
        "train": " + ".join(data.train_splits),
        "train_images": len(data.train),
        "train_objects": len(data.train.objects),
        "test": data.test_split,
        "test_images": len(data.test),
        "test_objects": int((~data.test.is_difficult & ~data.test.is_crowd).sum()),
        "classes": len(data.classes),
        "class_names": list(data.classes),
    }
