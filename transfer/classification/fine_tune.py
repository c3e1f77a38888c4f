"""Fine-tuning the whole network with a new classifier: on all labels, or on 1 % or 10 % of them.

    goodviews transfer finetune-1pct --encoder E --data IMAGENET --out runs/1pct --set labelled=1percent.txt
    goodviews transfer finetune --encoder E --data DIR --out runs/finetune

The papers of MoCo, InfoMin and CLSA publish no such protocol. 1 % and 10 % are SwAV's (Caron et al. 2020,
arXiv:2006.09882; published there, ResNet-50: 53.9 and 70.2 % top-1), the shortest of the usual ones. All labels: the
learning rate of SimCLR's fine-tuning (Chen et al. 2020, arXiv:2002.05709) for 256 images, over 30 epochs. Measured
here: not yet.

`labelled` is a file with the names of the labelled images; every paper uses SimCLR's imagenet_subsets/1percent.txt and
10percent.txt. Without it the seed draws a part of each class, and the report says so.

Batch norm trains too, on the whole batch: in one process, or synchronised over several (--processes), as SwAV does over
8 processes of 32 images.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..task import Measurement, Setup, Task, name_after_function, require_above_zero
from .check_images import check_images
from .linear_layer import Initial
from .measurement import LAYOUT, WILSON, measurement
from .schedules import Cosine, Schedule, Steps, scale_to_batch

if TYPE_CHECKING:
    from ...hub.encoder import Encoder

log = logging.getLogger(__name__)

_SWAV = Steps((12, 16), 0.2)


@name_after_function
def finetune() -> Task:
    """All labels, 30 epochs with SimCLR's learning rate and optimiser."""
    settings = FineTune(
        share=1.0,
        lr=0.05,
        layer_lr=0.05,
        epochs=30,
        schedule=Cosine(moves="each step"),
        nesterov=True,
        initial="zeros",
    )
    source = "SimCLR's rate and optimiser at batch 256; epochs ours"
    return _task("the whole network", settings, source=source)


@name_after_function
def finetune_1pct() -> Task:
    """SwAV's semi-supervised protocol on 1 % of the labels."""
    return _task("the whole network, on 1 % of the labels", FineTune(share=0.01, lr=0.02, layer_lr=5.0))


@name_after_function
def finetune_10pct() -> Task:
    """SwAV's semi-supervised protocol on 10 % of the labels."""
    settings = FineTune(share=0.1, lr=0.01, layer_lr=0.2)
    return _task("the whole network, on 10 % of the labels", settings)


@dataclass(frozen=True)
class FineTune:
    """The settings of the fine-tuning tasks; the defaults are SwAV's."""

    share: float  # of each class's labels, where no list is given
    lr: float  # of the backbone
    layer_lr: float  # of the new layer
    labelled: str = ""  # a file that lists the labelled images
    batch_size: int = 256  # images over all processes; the rates are for this size
    epochs: int = 20
    schedule: Schedule = _SWAV
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    initial: Initial = "normal"  # of the new layer
    crop_scale: tuple[float, float] = (0.08, 1.0)  # share of the photo's area
    flip: float = 0.5

    def __call__(self, encoder: Encoder, data: Path, folder: Path, setup: Setup) -> Measurement:
        """Fine-tunes a copy of `encoder`, scores its last epoch; leaves the classifier, metrics.jsonl and labelled.txt.

        With `setup.cache` a run that was stopped continues from its last saved epoch.

        Raises:
            DataError: the folder has another layout, or `labelled` does not fit it.
            UsageError: the share is not above 0 and at most 1.
        """
        from ...hub.errors import UsageError
        from ...hub.files.atomic import write_text
        from ...hub.images import SkippedImages
        from ...hub.sources.folders import train_and_test
        from ..classifiers.files import FOLDER, write_classifier
        from ..copies import note_copies
        from ..processes.start import others_run
        from ..training_state import write_rows
        from .epochs import state_file
        from .features import TestData, add_relative, describe, part_features
        from .labelled_part import draw_part, read_part
        from .whole_network import Run, take_part, train_whole_network

        if not 0 < self.share <= 1:
            raise UsageError(f"--set share={self.share:g}: it must be above 0 and at most 1, e.g. 0.1.")
        require_above_zero(self, "lr", "layer_lr", "batch_size", "epochs")
        run_settings = self._scale(setup.batch_size)
        settings = replace(self, **run_settings)
        train, test = train_and_test(data)
        part = read_part(train, Path(self.labelled)) if self.labelled else draw_part(train, self.share, setup.seed)
        skipped = SkippedImages()
        dataset, board = describe(data, part.images, test, skipped), folder if setup.tensorboard else None
        state = state_file("finetune", encoder, settings, dataset, setup)
        run = Run(part.images, settings, setup, state, board)
        copied, processes = copy.deepcopy(encoder), setup.process_count
        sent = (copy.deepcopy(copied).cpu() if processes > 1 else copied, run.of_another(), test.all_paths())
        with others_run(take_part, sent, processes=processes, device=encoder.device):
            result = train_whole_network(copied, run)
            add_relative(skipped, result.unreadable, data)
            features = part_features(result.encoder, test, data, replace(setup, cache=None), skipped)
        write_rows(folder / "metrics.jsonl", result.rows)
        labelled = part.images.all_paths()
        write_text(folder / "labelled.txt", "".join(f"{path.relative_to(data)}\n" for path in labelled))
        task = f"{settings.epochs} epochs of {len(part.images)} photos of {data.name}"
        start = encoder.report_id()
        if not write_classifier(folder / FOLDER, result.encoder, result.layer, train.classes, start=start, task=task):
            log.info("%s has no linear classifier in timm; no folder %s is left", encoder.architecture, FOLDER)
        copies = note_copies(labelled, test.all_paths())
        test_data = TestData(
            features, train.classes, describe(data, part.images, test, skipped), skipped, copies=copies
        )
        return measurement(
            encoder,
            test_data,
            result.layer(features.vectors).detach(),
            folder,
            run_settings={**run_settings, "labelled": part.id},
            description={"labelled": part.description, **_batch_norm_of(processes)},
        )

    def _scale(self, batch_size: int | None) -> dict[str, Any]:
        """As `scale_to_batch`, both learning rates."""
        scaled = scale_to_batch(self, batch_size)
        return {**scaled, "layer_lr": self.layer_lr * scaled["batch_size"] / self.batch_size} if scaled else {}


def _batch_norm_of(processes: int) -> dict[str, str]:
    """For `Measurement.description`, where it differs from what the task's says."""
    words = f"training mode, synchronised over {processes} processes"
    return {"batch_norm": words} if processes > 1 else {}


def _task(fine_tuned: str, measure: FineTune, *, source: str = "SwAV's semi-supervised protocol") -> Task:
    return Task(
        fine_tuned=fine_tuned,
        metric="top-1 accuracy, %",
        primary="top1",
        layout=LAYOUT,
        check=check_images,
        measure=measure,
        takes_processes=True,
        takes_precision=True,
        description={
            "source": source,
            "batch_norm": "training mode, over the images of one process",
            "interval": WILSON,
        },
    )
