"""A linear probe by SGD on features computed once: no augmentation, so an epoch costs seconds instead of hours.

    goodviews transfer linear-cached --encoder E --data DIR --out runs/linear-cached
    goodviews transfer linear-cached --encoder E --data DIR --out runs/linear-cached-30 --set lr=[30]

The published probes' optimiser with CLSA's kind of schedule. The learning rate is chosen among several, all of which
train side by side on the same batches. Without augmentation the numbers are not those of the published probes. Where
the features fit in memory, `linear` is the better measure: it solves the same problem to convergence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..task import Measurement, Setup, Task, name_after_function, require_above_zero
from .check_images import check_images
from .linear_layer import Initial, new_layer
from .measurement import LAYOUT, WILSON, measurement
from .schedules import Cosine, Schedule

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from ...hub.photo_encoder import PhotoEncoder

_TO_ZERO = Cosine()


@name_after_function
def linear_cached() -> Task:
    """100 epochs of SGD on frozen features, the learning rate chosen on a held-out part of train."""
    return Task(
        fine_tuned="a linear layer",
        metric="top-1 accuracy, %",
        primary="top1",
        layout=LAYOUT,
        check=check_images,
        measure=CachedProbe(),
        takes_exported=True,
        description={
            "selection": "lr by top-1 on the held-out share of each training class, then trained again on all",
            "features": "pooled, raw, no augmentation; unit vectors of an exported encoder",
            "interval": WILSON,
        },
    )


@dataclass(frozen=True)
class CachedProbe:
    """The settings of `linear-cached`."""

    lr: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # to choose from; for `batch_size`
    batch_size: int = 256
    epochs: int = 100
    schedule: Schedule = _TO_ZERO
    momentum: float = 0.9
    weight_decay: float = 0.0
    initial: Initial = "normal"
    held_out: float = 0.2

    def __call__(self, encoder: PhotoEncoder, data: Path, folder: Path, setup: Setup) -> Measurement:
        """Scores `encoder`; the details hold the chosen rate as `chosen_lr`, and each rate's held-out top-1.

        Raises:
            UsageError: no learning rate is given, or a setting is not above 0.
            DataError: several rates are given, but no class has two images, so that none can be held out.
        """
        import torch

        from .features import as_exported, frozen_features

        require_above_zero(self, "lr", "batch_size", "epochs")
        frozen = frozen_features(encoder, data, setup)
        train, classes = frozen.train, len(frozen.classes)
        top1_of = sweep(self, train.vectors, train.labels, classes, seed=setup.seed) if len(self.lr) > 1 else {}
        best = max(top1_of, key=lambda rate: top1_of[rate]) if top1_of else self.lr[0]
        [layer] = fit_layers(self, [best], train.vectors, train.labels, classes, seed=setup.seed)
        with torch.no_grad():
            scores = layer(frozen.test.vectors)
        details = {"chosen_lr": best, "held_out_top1_of_lr": {f"{rate:g}": top1 for rate, top1 in top1_of.items()}}
        return measurement(encoder, frozen, scores, folder, run_settings=as_exported(encoder), details=details)


def sweep(probe: CachedProbe, vectors: Tensor, labels: Tensor, classes: int, *, seed: int) -> dict[float, float]:
    """Top-1 in percent on the held-out images for each learning rate, 0 where training diverged.

    Raises:
        DataError: no class has two images.
    """
    import torch

    from ...hub.errors import DataError
    from ...hub.scoring.linear import held_out_rows
    from .scoring import percent

    out = held_out_rows(labels, probe.held_out, seed)
    if not out.any():
        raise DataError("A sweep holds out part of train, but no class there has two readable images; add images.")
    layers = fit_layers(probe, probe.lr, vectors[~out], labels[~out], classes, seed=seed)
    with torch.no_grad():
        scores = [layer(vectors[out]) for layer in layers]
    top1s = [percent(one.argmax(dim=1) == labels[out]) if one.isfinite().all() else 0.0 for one in scores]
    return dict(zip(probe.lr, top1s))


def fit_layers(
    probe: CachedProbe, rates: Sequence[float], vectors: Tensor, labels: Tensor, classes: int, *, seed: int
) -> list[nn.Linear]:
    """One layer for each learning rate, all trained side by side on the same batches; none depends on the others.

    Args:
        vectors: (N, F).
        labels: (N,) int64.
    """
    import torch

    layers = [new_layer(vectors.shape[1], classes, probe.initial, seed).to(vectors.device) for _ in rates]
    groups = [{"params": list(layer.parameters()), "lr": rate} for layer, rate in zip(layers, rates)]
    optimizer = torch.optim.SGD(groups, momentum=probe.momentum, weight_decay=probe.weight_decay)
    generator = torch.Generator().manual_seed(seed)
    for epoch in range(probe.epochs):
        order = torch.randperm(len(labels), generator=generator).to(vectors.device)
        train_epoch(probe, layers, optimizer, rates, vectors, labels, order, epoch)
    return layers


def train_epoch(
    probe: CachedProbe,
    layers: Sequence[nn.Linear],
    optimizer: Optimizer,
    rates: Sequence[float],
    vectors: Tensor,
    labels: Tensor,
    order: Tensor,
    epoch: int,
) -> None:
    """Trains on every row of `vectors` once, in `order`; the last batch may be smaller."""
    import torch
    import torch.nn.functional as F

    batches = order.split(probe.batch_size)
    for step, rows in enumerate(batches):
        for group, rate in zip(optimizer.param_groups, rates):
            group["lr"] = probe.schedule(rate, epoch=epoch, share=step / len(batches), epochs=probe.epochs)
        inputs, targets = vectors[rows], labels[rows]
        losses = [F.cross_entropy(layer(inputs), targets) for layer in layers]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        optimizer.step()
