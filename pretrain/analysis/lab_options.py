"""How a sweep, a measurement or a tuning is carried out: one frozen value from the command line to the points."""

import re
from dataclasses import dataclass

from ...hub.errors import UsageError

SMALLEST_PX, LARGEST_PX = 16, 128
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, kw_only=True)
class LabOptions:
    """The options that `goodviews views sweep`, `measure` and `tune` share.

    Args:
        budget: Time for all trainings: 90s, 30m, 2h; decides the steps of each.
        steps: Steps of each training, instead of a budget.
        seeds: Trainings of each point, or draws of its views for an encoder: 1 or more.
        processes: Points that are computed at the same time.
        px: Side of the views in pixels, 16 to 128; an encoder has its own.
        photos: Photos to use of each part of the data, at most.
        overwrite: Start anew in RUN.
    """

    budget: str = "30m"
    steps: int | None = None
    seeds: int = 2
    processes: int = 1
    px: int = 32
    photos: int = 6000
    overwrite: bool = False

    @property
    def budget_s(self) -> float | None:
        """Seconds for all trainings; None if the steps are given."""
        return seconds_of(self.budget) if self.steps is None else None

    def check(self) -> None:
        """Raise UsageError for a number out of range, before anything is read or written."""
        if not SMALLEST_PX <= self.px <= LARGEST_PX:
            raise UsageError(f"--px {self.px} is out of range; give {SMALLEST_PX} to {LARGEST_PX}.")
        counts = {"--seeds": self.seeds, "--processes": self.processes, "--photos": self.photos, "--steps": self.steps}
        for option, value in counts.items():
            if value is not None and value < 1:
                raise UsageError(f"{option} {value} is too few; give 1 or more.")
        _ = self.budget_s


@dataclass(frozen=True, kw_only=True)
class MeasureOptions(LabOptions):
    """Those of `measure`: it trains for one recipe only."""

    budget: str = "10m"


@dataclass(frozen=True, kw_only=True)
class TuneOptions(LabOptions):
    """Those of `tune`: it trains seventeen times a seed."""

    photos: int = 4000


def seconds_of(text: str) -> float:
    """The seconds that a text such as "30m" stands for.

    Raises:
        UsageError: it is no time.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", text.strip())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if seconds <= 0:
        raise UsageError(f"--budget {text} is no time; give seconds, minutes or hours, as in 90s, 30m or 2h.")
    return seconds


USUAL = LabOptions()
