"""All points of a sweep on photos that were read: trained where RUN lacks them, and written as its report."""

from pathlib import Path
from typing import Any

from .lab_options import LabOptions
from .photo_arrays import SplitPhotos
from .point_results import compute_point
from .run_sweep import Compute, Make, claim, make_plan, run_points
from .sweep_report import write_report
from .sweeps import Frame
from .trainer import Asked, Training, usual_precision

SPARE_SIDE = 3  # photos in memory have this many times the side of a view, so that a small crop is still sharp


def compute(
    make: Make,
    photos: SplitPhotos,
    out: Path,
    options: LabOptions,
    *,
    batch_size: int = 128,
    precision: Asked = "auto",
    is_shown: bool = False,
    point: Compute = compute_point,
) -> dict[str, Any]:
    """Compute what RUN lacks, and write and return its report.

    RUN is made, or its earlier results are removed, only when it is known what to compute.

    Args:
        batch_size: at most; few photos make smaller batches.
        point: computes one point with one seed.

    Raises:
        UsageError: RUN holds another sweep; the budget is too short.
    """
    batch_size = min(batch_size, len(photos.train) // 2)
    training = Training(steps=options.steps or 1, batch_size=batch_size, precision=usual_precision(precision))
    frame = Frame(options.px, photos.train.images.shape[-1], training)
    plan = make_plan(out, make, frame, photos, options)
    claim(out, plan, overwrite=options.overwrite)
    results = run_points(plan, photos, out, processes=options.processes, is_shown=is_shown, compute=point)
    return write_report(plan, results, out)
