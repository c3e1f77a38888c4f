"""The linear probes as published: one layer on the frozen encoder, by SGD, on crops drawn anew in every epoch.

    goodviews transfer linear-moco --encoder E --data IMAGENET --out runs/linear-moco

Published ImageNet top-1, ResNet-50, 200 epochs of pretraining: `linear-pycontrast` InfoMin 70.1, MoCo v2 67.5;
`linear-moco` MoCo v2 67.7; `linear-clsa` CLSA 69.4 (single), 73.3 (multi); `linear-simclr` 64.5 at 100 epochs.
Measured here: not yet. The four differ in learning rate, schedule, crops, initialisation and the epoch they report, so
they are four protocols. Rates of 10 and 30 suit the scale of those encoders' features; for others, choose one with
`linear-cached`.

All four use raw pooled features and leave the encoder in evaluation mode; photos are tested once with its own
preprocessing, and the last batch of an epoch may be smaller. PyContrast's RandAugment, off by default, is unsupported.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

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
    from .epochs import Best
    from .features import Features
    from .shared_encoding import Encoded, MakeImages, SharedEncoding
    from .training_images import TrainingImages


@name_after_function
def linear_pycontrast() -> Task:
    """PyContrast's probe, of InfoMin too: learning rate 30, a fifth after 30, 40 and 50 epochs of 60. The last epoch
    counts; the published tables do not state theirs."""
    return _task(SgdProbe())


@name_after_function
def linear_moco() -> Task:
    """MoCo's probe: learning rate 30, a tenth after 60 and 80 epochs of 100; the best epoch counts."""
    probe = SgdProbe(epochs=100, schedule=Steps((60, 80), 0.1), initial="normal", crop_scale=(0.08, 1.0))
    return _task(replace(probe, reported="best epoch on test"))


@name_after_function
def linear_clsa() -> Task:
    """CLSA's probe: learning rate 10, a cosine to 0.01 over 100 epochs; the best epoch counts."""
    probe = SgdProbe(lr=10.0, epochs=100, schedule=Cosine(floor=0.01), initial="normal", crop_scale=(0.08, 1.0))
    return _task(replace(probe, reported="best epoch on test"))


@name_after_function
def linear_simclr() -> Task:
    """SimCLR's probe: Nesterov, learning rate 0.1 for each 256 images of a batch of 4096, 90 epochs.

    Its encoders take photos without normalisation: mean 0 and deviation 1 in their preprocessing.
    """
    probe = SgdProbe(
        lr=1.6,
        batch_size=4096,
        epochs=90,
        schedule=Cosine(moves="each step"),
        weight_decay=1e-6,
        nesterov=True,
        initial="zeros",
        crop_scale=(0.08, 1.0),
    )
    return _task(probe)


_PYCONTRAST = Steps((30, 40, 50), 0.2)


@dataclass(frozen=True)
class SgdProbe:
    """The settings of the published probes; the defaults are PyContrast's."""

    lr: float = 30.0
    batch_size: int = 256  # images over all processes; `lr` is for this size
    epochs: int = 60
    schedule: Schedule = _PYCONTRAST
    momentum: float = 0.9
    weight_decay: float = 0.0
    nesterov: bool = False
    initial: Initial = "default"  # weights of the layer
    crop_scale: tuple[float, float] = (0.2, 1.0)  # share of the photo's area
    flip: float = 0.5
    reported: Literal["last epoch", "best epoch on test"] = "last epoch"

    def __call__(self, encoder: Encoder, data: Path, folder: Path, setup: Setup) -> Measurement:
        """Trains the layer and scores it after each epoch; leaves metrics.jsonl beside the usual files.

        With `setup.cache` a run that was stopped continues from its last saved epoch.
        """
        from ...hub.images import SkippedImages
        from ...hub.sources.folders import train_and_test
        from ..copies import note_copies
        from ..training_state import write_rows
        from .epochs import state_file
        from .features import TestData, add_relative, describe, part_features
        from .shared_encoding import shared_encoding

        require_above_zero(self, "lr", "batch_size", "epochs")
        run_settings = scale_to_batch(self, setup.batch_size)
        settings = replace(self, **run_settings)
        train, test = train_and_test(data)
        skipped = SkippedImages()
        state = state_file("linear", encoder, settings, describe(data, train, test, skipped), setup)
        images, make_images = training_images(encoder, train, settings, setup)
        board = folder if setup.tensorboard else None
        with shared_encoding(encoder, images, make_images, setup) as encoding:
            features = part_features(encoder, test, data, setup, skipped, encoding.photos)
            probe = _train_probe(encoding, train, features, settings, setup, state, board)
        write_rows(folder / "metrics.jsonl", probe.rows)
        add_relative(skipped, probe.unreadable, data)
        copies = note_copies(train.all_paths(), test.all_paths())
        test_data = TestData(features, train.classes, describe(data, train, test, skipped), skipped, copies=copies)
        return measurement(
            encoder,
            test_data,
            probe.scores,
            folder,
            metrics={"top1_last_epoch": probe.rows[-1]["top1"], "top1_best_epoch": probe.best.value},
            run_settings=run_settings,
            details={"reported_epoch": probe.epoch},
        )


@dataclass(frozen=True)
class _Probe:
    """A layer after its training: test scores (N, C) of the epoch that counts, and all epochs' rows."""

    scores: Tensor
    epoch: int  # that counts, from 1
    rows: list[Row]
    best: Best
    unreadable: SkippedImages


def training_images(
    encoder: Encoder, train: Files, settings: SgdProbe, setup: Setup
) -> tuple[TrainingImages, MakeImages]:
    """This process's share of the crops to train on, and what makes those of the other processes."""
    from .training_images import TrainingImages, crop_and_flip

    make_images = partial(
        TrainingImages,
        train.all_paths(),
        crop_and_flip(encoder.preprocessing, scale=settings.crop_scale, flip=settings.flip),
        batch_size=settings.batch_size,
        seed=setup.seed,
        workers=setup.workers,
        values=encoder.preprocessing.values,
    )
    return make_images(share=(0, setup.process_count), progress=setup.progress), make_images


def _train_probe(
    encoding: SharedEncoding,
    train: Files,
    test: Features,
    settings: SgdProbe,
    setup: Setup,
    state: Path | None,
    board: Path | None,
) -> _Probe:
    import torch

    from .epochs import Best, train_epochs
    from .scoring import percent

    encoder, images, device = encoding.encoder, encoding.images, test.vectors.device
    encoder.eval()  # batch norm with its running statistics, as published
    layer = new_layer(encoder.num_features, len(train.classes), settings.initial, setup.seed).to(device)
    optimizer = torch.optim.SGD(
        layer.parameters(),
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov,
    )
    labels, best = torch.tensor(train.labels, device=device), Best()

    def one_epoch(epoch: int) -> Row:
        row = train_layer(layer, optimizer, encoding.epoch(epoch), images.steps, labels, settings, epoch)
        scores = _scores(layer, test)
        top1 = percent(scores.argmax(dim=1) == test.labels)
        best.offer(top1, epoch, {"scores": scores})
        return {**row, "top1": top1}

    parts: dict[str, Stateful] = {"layer": layer, "optimizer": optimizer, "best": best, "images": images}
    rows = train_epochs(
        one_epoch, settings.epochs, parts, state=state, save_every_s=setup.save_every_s, tensorboard=board
    )
    if settings.reported == "best epoch on test":
        return _Probe(best.tensors["scores"].to(device), best.epoch + 1, rows, best, images.skipped)
    return _Probe(_scores(layer, test), settings.epochs, rows, best, images.skipped)


def train_layer(
    layer: nn.Linear,
    optimizer: Optimizer,
    encoded: Encoded,
    steps: int,
    labels: Tensor,
    settings: SgdProbe,
    epoch: int,
) -> Row:
    """Trains for one epoch of so many steps on encoded crops. Returns the mean loss and the last rate."""
    import torch.nn.functional as F

    total, count, rate = 0.0, 0, settings.lr
    for step, (vectors, positions) in enumerate(encoded):
        rate = settings.schedule(settings.lr, epoch=epoch, share=step / steps, epochs=settings.epochs)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = F.cross_entropy(layer(vectors), labels[positions.to(labels.device)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total, count = total + float(loss.detach()) * len(vectors), count + len(vectors)
    return {"loss": total / count, "lr": rate}


def _scores(layer: nn.Linear, test: Features) -> Tensor:
    return layer(test.vectors).detach()


def _task(measure: SgdProbe) -> Task:
    return Task(
        fine_tuned="a linear layer",
        metric="top-1 accuracy, %",
        primary="top1",
        layout=LAYOUT,
        check=check_images,
        measure=measure,
        takes_processes=True,
        takes_precision=True,
        description={"features": "pooled, raw, of crops drawn anew each epoch", "interval": WILSON},
    )
