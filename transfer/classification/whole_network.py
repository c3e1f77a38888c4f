"""Training an encoder and a new classifier on top of it, in one process or in several that share every batch.

The result of several is that of one but for rounding: the gradient is of the whole batch's mean loss, and batch norm
sees the whole batch (SwAV's fine-tuning synchronises it over 8 processes of 32 images, SimCLR's over all of a TPU).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from ...hub.encoder import Encoder
from ...hub.images import SkippedImages
from ...hub.sources.files import Files
from ..precision import arithmetic, faster_layout
from ..processes.sharing import (
    gather_everywhere,
    rank_and_world,
    share_batch_norm,
    share_gradients,
    sum_over_processes,
)
from ..task import Setup
from ..training_state import Row, Stateful
from .encode_photos import encode_photos
from .epochs import train_epochs
from .linear_layer import new_layer
from .training_images import TrainingImages, WorkerBatch, crop_and_flip, normalised

if TYPE_CHECKING:
    from ...hub.preprocessing import Preprocessing
    from .fine_tune import FineTune


@dataclass(frozen=True)
class Run:
    """What each process must know to train."""

    train: Files  # the labelled images
    settings: FineTune
    setup: Setup
    state: Path | None  # the file that a stopped training continues from
    tensorboard: Path | None

    def of_another(self) -> Run:
        """The same for another process, which shows nothing."""
        return replace(self, setup=replace(self.setup, progress=False), tensorboard=None)


@dataclass(frozen=True)
class Trained:
    """The encoder and its layer after the training, all epochs' rows, and the images that could not be read."""

    encoder: Encoder
    layer: nn.Linear
    rows: list[Row]
    unreadable: SkippedImages


class _Classifier(nn.Module):
    """Encoder and layer as one network; features are float32, whatever the encoder computes in."""

    def __init__(self, encoder: Encoder, layer: nn.Linear, setup: Setup):
        super().__init__()
        self.encoder, self.layer, self.precision = encoder, layer, setup.precision

    def forward(self, batch: Tensor) -> Tensor:
        with arithmetic(self.precision, batch.device):
            vectors = self.encoder(batch)
        logits: Tensor = self.layer(vectors.float())
        return logits


def take_part(device: torch.device, encoder: Encoder, run: Run, test: Sequence[Path]) -> None:
    """In each process but the first: trains with it, then encodes a share of the photos of the test part."""
    trained = train_whole_network(encoder.to(device), run)
    encode_photos(trained.encoder, test, run.setup, SkippedImages())


def train_whole_network(encoder: Encoder, run: Run) -> Trained:
    """Trains `encoder` itself, on the device that it is on, and a new layer."""
    settings, setup, train = run.settings, run.setup, run.train
    rank, world = rank_and_world()
    layer = new_layer(encoder.num_features, len(train.classes), settings.initial, setup.seed).to(encoder.device)
    optimizer = _optimizer(encoder, layer, settings)
    images = TrainingImages(
        train.all_paths(),
        crop_and_flip(encoder.preprocessing, scale=settings.crop_scale, flip=settings.flip),
        batch_size=settings.batch_size,
        seed=setup.seed,
        workers=setup.workers,
        progress=setup.progress,
        values=encoder.preprocessing.values,
        share=(rank, world),
    )
    classifier = _Classifier(encoder, layer, setup)
    labels = torch.tensor(train.labels, device=encoder.device)
    parts: dict[str, Stateful] = {"encoder": encoder, "layer": layer, "optimizer": optimizer, "images": images}
    with faster_layout(encoder, setup.precision):
        share_batch_norm(classifier)
        model = share_gradients(classifier)
        epochs = _Epochs(model, optimizer, images, labels, settings, encoder.preprocessing)
        rows = train_epochs(
            epochs.train,
            settings.epochs,
            parts,
            state=run.state,
            save_every_s=setup.save_every_s,
            tensorboard=run.tensorboard,
            is_shared=True,
        )
    encoder.eval()
    return Trained(encoder, layer, rows, images.skipped)


def _optimizer(encoder: Encoder, layer: nn.Linear, settings: FineTune) -> Optimizer:
    groups = [
        {"params": list(encoder.parameters()), "base_lr": settings.lr},
        {"params": list(layer.parameters()), "base_lr": settings.layer_lr},
    ]
    return SGD(
        groups,
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        weight_decay=settings.weight_decay,
    )


@dataclass(frozen=True)
class _Epochs:
    """What trains for one epoch after the other."""

    model: nn.Module  # of logits; with several processes it shares gradients
    optimizer: Optimizer
    images: TrainingImages
    labels: Tensor  # of all images, where the network is
    settings: FineTune
    preprocessing: Preprocessing

    def train(self, epoch: int) -> Row:
        """Returns the mean loss, the percentage of right crops and the backbone's last rate, over all processes."""
        self.model.train()
        done, counts, losses, rights = 0, [], [], []
        problems: list[tuple[int, str]] = []
        for batch in self.images.batches(epoch):
            problems += batch.problems
            images = int(sum_over_processes(len(batch.positions))[0])
            if images > 1:  # one image has no batch statistics
                self._set_rates(epoch, done / self.images.steps)
                loss, right = self._step(batch, images)
                counts.append(images)
                losses.append(loss)
                rights.append(right)
            done += images > 0
        self._note(problems, epoch)
        world, crops = rank_and_world()[1], max(sum(counts), 1)
        total = sum(loss * images for loss, images in zip(_numbers(losses), counts)) / world
        loss_sum, right_sum = sum_over_processes(total, sum(_numbers(rights)))
        return {
            "loss": loss_sum / crops,
            "train_top1": 100 * right_sum / crops,
            "lr": self.optimizer.param_groups[0]["lr"],
        }

    def _set_rates(self, epoch: int, share: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.schedule(
                group["base_lr"], epoch=epoch, share=share, epochs=self.settings.epochs
            )

    def _step(self, batch: WorkerBatch, images: int) -> tuple[Tensor, Tensor]:
        """One step on this process's share of so many images. Returns its loss, and how many crops it had right."""
        px, device = self.preprocessing.input_px, self.labels.device
        crops = torch.empty(0, 3, px, px, dtype=torch.uint8) if batch.images is None else batch.images
        targets = self.labels[torch.tensor(batch.positions, dtype=torch.long).to(device)]
        logits = self.model(normalised(crops, self.preprocessing, device))
        loss = self._mean_loss(logits, targets, images)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach(), (logits.argmax(dim=1) == targets).sum()

    def _mean_loss(self, logits: Tensor, targets: Tensor, images: int) -> Tensor:
        """Whose mean over the processes is that of the whole batch, however many images each has."""
        _, world = rank_and_world()
        if world == 1:
            return F.cross_entropy(logits, targets)
        return F.cross_entropy(logits, targets, reduction="sum") * (world / images)

    def _note(self, problems: list[tuple[int, str]], epoch: int) -> None:
        """Every process knows of every image that could not be read, so that all stop if there is none."""
        places = self.images.places(epoch)
        found = [problem for some in gather_everywhere(problems) for problem in some]
        self.images.note(sorted(found, key=lambda problem: int(places[problem[0]])))
        self.images.require_one()


def _numbers(scalars: list[Tensor]) -> list[float]:
    """What was left on the device until now, so that no step waits for it."""
    return torch.stack(scalars).tolist() if scalars else []
