"""A sweep by its name, from the photos to the report."""

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ...hub.errors import UsageError
from .compute import SPARE_SIDE, compute
from .lab_options import USUAL, LabOptions
from .photo_arrays import FEWEST, SplitPhotos, read_photos
from .run_sweep import refuse_taken
from .sweeps import SWEEPS as OF_PHOTOS
from .sweeps import Frame, Sweep
from .toy import toy, toy_photos
from .trainer import Asked

SWEEPS: dict[str, Callable[[Frame], Sweep]] = {**OF_PHOTOS, "toy": toy}


def run_sweep(
    name: str,
    data: str | None,
    out: Path,
    options: LabOptions = USUAL,
    *,
    batch_size: int = 128,
    precision: Asked = "auto",
    is_shown: bool = False,
) -> dict[str, Any]:
    """Compute what RUN lacks of a sweep and write its report, which is returned.

    Raises:
        UsageError: no such sweep; a number out of range; RUN holds another sweep; the budget is too short.
        DataError: the photos do not suffice.
    """
    _check_name(name)
    options.check()
    refuse_taken(out, overwrite=options.overwrite, data=data)
    photos = _photos(name, data, px=options.px, most=options.photos)
    return compute(SWEEPS[name], photos, out, options, batch_size=batch_size, precision=precision, is_shown=is_shown)


def _photos(name: str, data: str | None, *, px: int, most: int) -> SplitPhotos:
    if name == "toy":
        if data is not None:
            raise UsageError("The sweep toy makes its own images; leave --data out.")
        return toy_photos(px=px, train=most, test=max(FEWEST, most // 4), seed=0)
    if data is None:
        raise UsageError(f"The sweep {name} needs --data, a folder with one folder of photos a class.")
    return read_photos(data, px=SPARE_SIDE * px, least_px=px, most=most)


def _check_name(name: str) -> None:
    if name not in SWEEPS:
        near = ", ".join(get_close_matches(name, SWEEPS, n=2, cutoff=0.3))
        raise UsageError(f"There is no sweep {name}; {f'perhaps {near}; ' if near else ''}all are {', '.join(SWEEPS)}.")
