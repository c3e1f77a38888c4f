"""Learning rates over the epochs of a training, as the published probes set them, and for another batch size."""

from dataclasses import dataclass, field
from typing import Any, Literal

from ...hub.schedules import cosine, steps


@dataclass(frozen=True)
class Steps:
    """The learning rate times `factor` after each number of epochs in `after`."""

    after: tuple[int, ...]
    factor: float
    kind: str = field(default="steps", init=False)

    def __call__(self, lr: float, *, epoch: int, share: float, epochs: int) -> float:
        """The rate of a step: `epoch` epochs and a `share` (0-1) of the next are done, of `epochs` in all."""
        return steps(lr, epoch, self.after, self.factor)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from the learning rate to `floor`, which would be reached after the last epoch."""

    floor: float = 0.0
    moves: Literal["each epoch", "each step"] = "each epoch"
    kind: str = field(default="half cosine", init=False)

    def __call__(self, lr: float, *, epoch: int, share: float, epochs: int) -> float:
        """As `Steps`."""
        done = (epoch + share if self.moves == "each step" else epoch) / epochs
        return cosine(lr, self.floor, done)


@dataclass(frozen=True)
class Waves:
    """A cosine from the learning rate to 0 in `half_period` epochs, back up in as many, and so on, from epoch 1 on.

    Source: CLSA's VOC probe, whose annealing is stepped first and never restarted: 0 in the 12th epoch, full in the
    24th.
    """

    half_period: int = 12
    kind: str = field(default="cosine waves", init=False)

    def __call__(self, lr: float, *, epoch: int, share: float, epochs: int) -> float:
        """As `Steps`."""
        return cosine(lr, 0.0, epoch + 1, self.half_period)


Schedule = Steps | Cosine | Waves


def scale_to_batch(settings: Any, batch_size: int | None) -> dict[str, Any]:
    """The settings that change with another batch size: the learning rate is proportional to it; epochs stay.

    Source: Goyal et al. 2017 (arXiv:1706.02677); SimCLR gives its rate this way.
    """
    if batch_size in (None, settings.batch_size):
        return {}
    return {"batch_size": batch_size, "lr": settings.lr * batch_size / settings.batch_size}
