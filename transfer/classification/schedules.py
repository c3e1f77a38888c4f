"""Learning rates over the epochs of a training, as the published probes set them."""

from dataclasses import dataclass, field
from typing import Literal

from ...hub.schedules import cosine, steps


@dataclass(frozen=True)
class Steps:
    """The rate times `factor` for each number in `after` of epochs that are done."""

    after: tuple[int, ...]
    factor: float
    kind: str = field(default="steps", init=False)

    def __call__(self, lr: float, *, epoch: int, share: float, epochs: int) -> float:
        """The rate of a step: `epoch` epochs and a `share` (0-1) of the next are done, of `epochs` in all."""
        return steps(lr, epoch, self.after, self.factor)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from the rate to `floor`, which would be reached after the last epoch."""

    floor: float = 0.0
    moves: Literal["each epoch", "each step"] = "each epoch"
    kind: str = field(default="half cosine", init=False)

    def __call__(self, lr: float, *, epoch: int, share: float, epochs: int) -> float:
        """As `Steps`."""
        done = (epoch + share if self.moves == "each step" else epoch) / epochs
        return cosine(lr, self.floor, done)


@dataclass(frozen=True)
class Waves:
    """A cosine from the rate to 0 in `half_period` epochs, back up in as many, and so on; moved before each epoch.

    Source: CLSA's VOC probe, whose annealing is stepped first and never restarted: 0 in the 12th epoch, full in the
    24th.
    """

    half_period: int = 12
    kind: str = field(default="cosine waves", init=False)

    def __call__(self, lr: float, *, epoch: int, share: float, epochs: int) -> float:
        """As `Steps`."""
        return cosine(lr, 0.0, epoch + 1, self.half_period)


Schedule = Steps | Cosine | Waves
