"""Learning-rate schedules: functions of where in the run a step is, so nothing has to be stored to continue one."""

from dataclasses import dataclass
from typing import Protocol

from ...hub.schedules import cosine, linear, steps


@dataclass(frozen=True)
class Moment:
    """Where a step is: `epoch` and `step` (within the epoch) count from 0."""

    epoch: int
    step: int
    steps_per_epoch: int
    epochs: int
    batch_size: int


class Schedule(Protocol):
    """Anything that gives the learning rate of a step from the recipe's base rate."""

    def __call__(self, base_lr: float, at: Moment) -> float: ...


@dataclass(frozen=True)
class PyContrastCosine:
    """A cosine step an epoch, epochs counted from 1, with a floor; InfoMin's schedule.

    The first epoch is therefore already slightly below the base rate and the last runs exactly at the floor,
    `base_lr * floor`. A batch larger than `warmup_above_batch` starts at `warmup_from` and climbs linearly, a step at a
    time, to the cosine's value at the last warm-up epoch: 5 epochs, or 10 in runs of more than 500.

    Source: HobbitLong/PyContrast, learning/base_trainer.py (floor = lr * 0.1 ** 3) and options/train_options.py.
    """

    floor: float = 1e-3
    warmup_above_batch: int = 256
    warmup_from: float = 0.01

    def __call__(self, base_lr: float, at: Moment) -> float:
        climbing = self.warmup_epochs(at.batch_size, at.epochs)
        if at.epoch < climbing:
            return _climb(self.warmup_from, self._cosine(base_lr, climbing, at.epochs), at, climbing)
        return self._cosine(base_lr, at.epoch + 1, at.epochs)

    def warmup_epochs(self, batch_size: int, epochs: int) -> int:
        """For how many epochs it climbs."""
        if batch_size <= self.warmup_above_batch:
            return 0
        return 10 if epochs > 500 else 5

    def _cosine(self, base_lr: float, epoch: int, epochs: int) -> float:
        return cosine(base_lr, base_lr * self.floor, epoch, epochs)


@dataclass(frozen=True)
class MocoCosine:
    """A cosine step an epoch, epochs counted from 0, no floor and no warm-up; MoCo v2's and CLSA's schedule.

    Source: facebookresearch/moco, main_moco.py.
    """

    def __call__(self, base_lr: float, at: Moment) -> float:
        return cosine(base_lr, 0.0, at.epoch, at.epochs)


@dataclass(frozen=True)
class Steps:
    """The rate falls by `factor` after each milestone, a number of epochs done; MoCo v1's and PyContrast's default.

    PyContrast counts epochs from 1 and falls where that number exceeds a milestone, MoCo from 0 and where it reaches
    one: the same.

    Source: facebookresearch/moco, main_moco.py; HobbitLong/PyContrast, learning/base_trainer.py.
    """

    milestones: tuple[int, ...] = (120, 160)
    factor: float = 0.1

    def __call__(self, base_lr: float, at: Moment) -> float:
        return steps(base_lr, at.epoch, self.milestones, self.factor)


@dataclass(frozen=True)
class WarmupCosine:
    """A linear climb over `warmup_epochs`, then a cosine to `end` times the base rate; both change at every step.

    The climb starts at `warmup_from`, a rate, and would reach the base rate at the first step after it. The schedule of
    SimCLR, BYOL and SwAV, which reaches the base rate a step earlier.

    Source: google-research/simclr, model_util.py; google-deepmind/deepmind-research, byol/utils/schedules.py;
    facebookresearch/swav, main_swav.py.
    """

    warmup_epochs: int = 10
    warmup_from: float = 0.0
    end: float = 0.0

    def __call__(self, base_lr: float, at: Moment) -> float:
        if at.epoch < self.warmup_epochs:
            return _climb(self.warmup_from, base_lr, at, self.warmup_epochs)
        falling = (at.epochs - self.warmup_epochs) * at.steps_per_epoch
        done = ((at.epoch - self.warmup_epochs) * at.steps_per_epoch + at.step) / falling
        return base_lr * cosine(1.0, self.end, done)


def warmup_epochs(schedule: Schedule, *, batch_size: int, epochs: int) -> int:
    """For how many epochs the rate climbs; 0 for schedules that start at its height."""
    if isinstance(schedule, WarmupCosine):
        return schedule.warmup_epochs
    if isinstance(schedule, PyContrastCosine):
        return schedule.warmup_epochs(batch_size, epochs)
    return 0


def _climb(start: float, target: float, at: Moment, epochs: int) -> float:
    done = (at.step + at.epoch * at.steps_per_epoch) / (epochs * at.steps_per_epoch)
    return linear(start, target, done)
