"""Fine-tuning the whole network with a new classifier: on all labels, or on 1 % or 10 % of them.

    goodviews transfer finetune-1pct --encoder E --data IMAGENET --out runs/1pct --set labelled=1percent.txt
    goodviews transfer finetune --encoder E --data DIR --out runs/finetune

The papers of MoCo, InfoMin and CLSA publish no such protocol. 1 % and 10 % are SwAV's (Caron et al. 2020,
arXiv:2006.09882; published there, ResNet-50: 53.9 and 70.2 % top-1), the shortest of the usual ones. All labels: the
learning rate of SimCLR's fine-tuning (Chen et al. 2020, arXiv:2002.05709) for 256 images, over 30 epochs. Measured
here: not yet.

`labelled` is a file with the names of the labelled images; every paper uses SimCLR's imagenet_subsets/1percent.txt and
10percent.txt. Without it the seed draws a part of each class, and the report says so.

Batch norm trains too, on the images of one process; SwAV synchronises it over 8 processes of 32 images.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..task import Measurement, Setup, Task, name_after_function, require_above_zero
from .check_images import check_images
from .linear_layer import Initial, new_layer
from .measurement import LAYOUT, WILSON, measurement
from .schedules import Cosine, Schedule, Steps, scale_to_batch

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from ...hub.encoder import Encoder
    from ...hub.images import SkippedImages
    from ...hub.sources.files import Files
    from ..training_state import Row, Stateful
    from .training_images import TrainingImages

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
        from ..training_state import write_rows
        from .features import TestData, add_relative, describe, part_features
        from .labelled_part import draw_part, read_part

        if not 0 < self.share <= 1:
            raise UsageError(f"--set share={self.share:g}: it must be above 0 and at most 1, e.g. 0.1.")
        require_above_zero(self, "lr", "layer_lr", "batch_size", "epochs")
        run_settings = self._scale(setup.batch_size)
        settings = replace(self, **run_settings)
        train, test = train_and_test(data)
        part = read_part(train, Path(self.labelled)) if self.labelled else draw_part(train, self.share, setup.seed)
        skipped = SkippedImages()
        dataset, board = describe(data, part.images, test, skipped), folder if setup.tensorboard else None
        result = _fine_tune(encoder, part.images, settings, setup, dataset, board)
        write_rows(folder / "metrics.jsonl", result.rows)
        write_text(folder / "labelled.txt", "".join(f"{path.relative_to(data)}\n" for path in part.images.paths))
        task = f"{settings.epochs} epochs of {len(part.images)} photos of {data.name}"
        start = encoder.report_id()
        if not write_classifier(folder / FOLDER, result.encoder, result.layer, train.classes, start=start, task=task):
            log.info("%s has no linear classifier in timm; no folder %s is left", encoder.architecture, FOLDER)
        add_relative(skipped, result.unreadable, data)
        features = part_features(result.encoder, test, data, replace(setup, cache=None), skipped)
        copies = note_copies(part.images.paths, test.paths)
        test_data = TestData(
            features, train.classes, describe(data, part.images, test, skipped), skipped, copies=copies
        )
        return measurement(
            encoder,
            test_data,
            result.layer(features.vectors).detach(),
            folder,
            run_settings={**run_settings, "labelled": part.id},
            description={"labelled": part.description},
        )

    def _scale(self, batch_size: int | None) -> dict[str, Any]:
        """As `scale_to_batch`, both learning rates."""
        scaled = scale_to_batch(self, batch_size)
        return {**scaled, "layer_lr": self.layer_lr * scaled["batch_size"] / self.batch_size} if scaled else {}


@dataclass(frozen=True)
class _FineTuning:
    """The encoder and its layer after the training, all epochs' rows, and the images that could not be read."""

    encoder: Encoder
    layer: nn.Linear
    rows: list[Row]
    unreadable: SkippedImages


def _fine_tune(
    encoder: Encoder, train: Files, settings: FineTune, setup: Setup, dataset: dict[str, Any], board: Path | None
) -> _FineTuning:
    """Trains a copy of the encoder."""
    import torch

    from .epochs import state_file, train_epochs
    from .training_images import TrainingImages, crop_and_flip

    copied = copy.deepcopy(encoder)
    layer = new_layer(encoder.num_features, len(train.classes), settings.initial, setup.seed).to(encoder.device)
    groups = [
        {"params": list(copied.parameters()), "base_lr": settings.lr},
        {"params": list(layer.parameters()), "base_lr": settings.layer_lr},
    ]
    optimizer = torch.optim.SGD(
        groups,
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        weight_decay=settings.weight_decay,
    )
    images = TrainingImages(
        train.paths,
        crop_and_flip(encoder.preprocessing, scale=settings.crop_scale, flip=settings.flip),
        batch_size=settings.batch_size,
        seed=setup.seed,
        workers=setup.workers,
        progress=setup.progress,
        values=encoder.preprocessing.values,
    )
    labels = torch.tensor(train.labels, device=encoder.device)

    def one_epoch(epoch: int) -> Row:
        return _train(copied, layer, optimizer, images, labels, settings, epoch)

    parts: dict[str, Stateful] = {"encoder": copied, "layer": layer, "optimizer": optimizer, "images": images}
    state = state_file("finetune", encoder, settings, dataset, setup)
    rows = train_epochs(
        one_epoch, settings.epochs, parts, state=state, save_every_s=setup.save_every_s, tensorboard=board
    )
    copied.eval()
    return _FineTuning(copied, layer, rows, images.skipped)


def _train(
    encoder: Encoder,
    layer: nn.Linear,
    optimizer: Optimizer,
    images: TrainingImages,
    labels: Tensor,
    settings: FineTune,
    epoch: int,
) -> Row:
    """Trains for one epoch. Returns the mean loss, the percentage of right crops and the backbone's last rate."""
    import torch.nn.functional as F

    encoder.train()
    total, right, count = 0.0, 0, 0
    for step, (batch, positions) in enumerate(images.epoch(epoch)):
        if len(batch) == 1:
            continue  # one image has no batch statistics
        for group in optimizer.param_groups:
            group["lr"] = settings.schedule(
                group["base_lr"], epoch=epoch, share=step / images.steps, epochs=settings.epochs
            )
        targets = labels[positions.to(labels.device)]
        logits = layer(encoder(batch.to(labels.device)).float())
        loss = F.cross_entropy(logits, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total, count = total + float(loss.detach()) * len(batch), count + len(batch)
        right += int((logits.argmax(dim=1) == targets).sum())
    return {
        "loss": total / max(count, 1),
        "train_top1": 100 * right / max(count, 1),
        "lr": optimizer.param_groups[0]["lr"],
    }


def _task(fine_tuned: str, measure: FineTune, *, source: str = "SwAV's semi-supervised protocol") -> Task:
    return Task(
        fine_tuned=fine_tuned,
        metric="top-1 accuracy, %",
        primary="top1",
        layout=LAYOUT,
        check=check_images,
        measure=measure,
        description={
            "source": source,
            "batch_norm": "training mode, over the images of one process",
            "interval": WILSON,
        },
    )
