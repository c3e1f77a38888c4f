"""All points of a sweep on photos that were read: trained where RUN lacks them, and written as its report."""

from pathlib import Path
from typing import Any

from ...hub.errors import UsageError
from .photo_arrays import SplitPhotos
from .point_results import compute_point
from .run_sweep import Compute, Make, claim, open_plan, run_points
from .sweep_report import write_report
from .sweeps import Frame
from .trainer import Asked, Training, usual_precision

SPARE_SIDE = 3  # photos in memory have this many times the side of a view, so that a small crop is still sharp
SMALLEST_PX, LARGEST_PX = 16, 128


def compute(
    make: Make,
    photos: SplitPhotos,
    out: Path,
    *,
    px: int,
    budget_s: float | None,
    steps: int | None,
    seeds: int,
    processes: int,
    batch_size: int = 128,
    precision: Asked = "auto",
    overwrite: bool,
    is_shown: bool,
    point: Compute = compute_point,
) -> dict[str, Any]:
    """Claim RUN, compute what it lacks, and write and return its report.

    Args:
        budget_s: chooses the steps of each training, unless `steps` is given.
        batch_size: at most; few photos make smaller batches.
        point: computes one point with one seed.

    Raises:
        UsageError: RUN holds another sweep; the budget is too short.
    """
    batch_size = min(batch_size, len(photos.train) // 2)
    training = Training(steps=steps or 1, batch_size=batch_size, precision=usual_precision(precision))
    claim(out, overwrite=overwrite)
    frame = Frame(px, photos.train.images.shape[-1], training)
    plan = open_plan(out, make, frame, photos, seeds=seeds, budget_s=budget_s, processes=processes)
    results = run_points(plan, photos, out, processes=processes, is_shown=is_shown, compute=point)
    return write_report(plan, results, out)


def check_numbers(*, seeds: int, processes: int, px: int, steps: int | None) -> None:
    """Raise UsageError for a number out of range, before anything is read or claimed."""
    if not SMALLEST_PX <= px <= LARGEST_PX:
        raise UsageError(f"--px {px} is out of range; give {SMALLEST_PX} to {LARGEST_PX}.")
    for option, value in (("--seeds", seeds), ("--processes", processes), ("--steps", 1 if steps is None else steps)):
        if value < 1:
            raise UsageError(f"{option} {value} is too few; give 1 or more.")
