"""The one trainer of all sweeps: contrasts the views of photos in memory; a batch's other photos are the negatives.

Everything drawn comes from (seed, step), so a point of a sweep gives the same numbers whenever it is computed.
"""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ...hub.errors import GoodviewsError
from ..models.heads import HeadKind
from ..models.losses import distributional_match, pair_contrast
from ..randomness import step_seed
from ..training.precision import resolve_precision
from .pairs import Pairs
from .photo_arrays import PhotoSet
from .small_network import PairNetwork, build_pair_network

log = logging.getLogger(__name__)

Asked = Literal["auto", "fp32", "bf16"]
Loss = Literal["contrast", "naive", "match"]


@dataclass(frozen=True)
class Training:
    """How a small network learns.

    head: None contrasts the features themselves.
    loss: contrast takes two views; the others three, the last of them strong: naive contrasts it as well, match draws
        its similarities to those of the first view (CLSA's distributional term).
    precision: of the networks; losses and scores are float32.
    """

    steps: int
    batch_size: int = 128
    lr: float = 2e-3
    weight_decay: float = 1e-4
    temperature: float = 0.1
    head: HeadKind | None = "mlp"
    dim: int = 64
    width: int = 16
    loss: Loss = "contrast"
    precision: Literal["fp32", "bf16"] = "fp32"


@dataclass(frozen=True)
class Trained:
    """A network after its training, in evaluation mode.

    loss: mean over the last tenth of the steps, in nats.
    """

    network: PairNetwork
    loss: float
    seconds: float


class Diverged(GoodviewsError):
    """A training became NaN or infinite and was stopped."""


def train_pair(pairs: Pairs, photos: PhotoSet, training: Training, *, seed: int) -> Trained:
    """A network that learned from the views of the photos.

    Raises:
        Diverged: the loss is NaN or infinite.
    """
    start_s = time.perf_counter()
    network = build_pair_network(
        pairs.channels, width=training.width, dim=training.dim, head=training.head, seed=seed
    ).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=training.lr, weight_decay=training.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.lr, total_steps=max(2, training.steps))
    batches = Batches(len(photos), training.batch_size, seed)
    losses = []
    for step in range(training.steps):
        generator = torch.Generator().manual_seed(step_seed(seed, step))
        views = pairs.draw(photos, batches.rows(step), generator)
        with autocast(training.precision):
            embeddings = network(views)
        loss = LOSSES[training.loss](embeddings, training.temperature)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(finite(loss, step, training.steps))
    last = losses[-max(1, len(losses) // 10) :]
    return Trained(network.eval(), sum(last) / len(last), time.perf_counter() - start_s)


class Batches:
    """Which photos a step sees: each epoch in an order of its own, an incomplete last batch left out."""

    def __init__(self, photos: int, batch_size: int, seed: int):
        self.photos, self.size, self.seed = photos, min(batch_size, photos), seed
        self.per_epoch = photos // self.size
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def rows(self, step: int) -> Tensor:
        """(N,) positions of photos."""
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(step_seed(self.seed + 1, epoch))
            self._epoch, self._order = epoch, torch.randperm(self.photos, generator=generator)
        return self._order[place * self.size : (place + 1) * self.size]


def finite(loss: Tensor, step: int, steps: int) -> float:
    """The loss as a number.

    Raises:
        Diverged: it is NaN or infinite.
    """
    value = float(loss.detach())
    if not torch.isfinite(loss.detach()):
        raise Diverged(f"The loss became {value} at step {step + 1} of {steps}; a smaller learning rate may help.")
    return value


def usual_precision(asked: Asked) -> Literal["fp32", "bf16"]:
    """ "auto" is bf16 where the processor multiplies it."""
    return "bf16" if resolve_precision(asked, "cpu") == "bf16" else "fp32"


def autocast(precision: str) -> AbstractContextManager[object]:
    """bf16 for the networks where that is asked for."""
    return torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext()


def _contrast(embeddings: list[Tensor], temperature: float) -> Tensor:
    return pair_contrast(embeddings[0], embeddings[1], temperature=temperature)


def _naive(embeddings: list[Tensor], temperature: float) -> Tensor:
    weak, key, strong = embeddings
    return (_contrast([weak, key], temperature) + _contrast([strong, key], temperature)) / 2


def _match(embeddings: list[Tensor], temperature: float) -> Tensor:
    weak, key, strong = embeddings
    target = (weak.detach() @ key.detach().T / temperature).softmax(dim=1)
    match = distributional_match(strong @ key.detach().T / temperature, target)
    return (_contrast([weak, key], temperature) + match) / 2


LOSSES: dict[Loss, Callable[[list[Tensor], float], Tensor]] = {
    "contrast": _contrast,
    "naive": _naive,
    "match": _match,
}
