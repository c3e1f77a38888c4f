"""resamples.csv of a run: a metric's values on draws of the test images that are the same for every encoder.

For metrics that are no mean over images, such as a detector's AP: differences draw by draw are a paired bootstrap.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..files.csv_tables import read_csv, write_csv


@dataclass(frozen=True)
class Resamples:
    """Values by metric, (draws,) each; `draws` holds a checksum of each draw, so that only equal draws are paired."""

    draws: tuple[str, ...]
    values: dict[str, NDArray[np.float64]]


def draw_images(images: int, draws: int) -> Iterator[NDArray[np.int64]]:
    """(images,) how often each image is taken: as many as there are, with replacement; always the same draws."""
    random = np.random.default_rng(0)
    for _ in range(draws):
        yield np.bincount(random.integers(images, size=images), minlength=images)


def write_resamples(path: Path, images: int, metrics: Sequence[str], rows: NDArray[np.float64]) -> None:
    """One line a draw of `draw_images`: its checksum, then the metrics of `rows` (draws, metrics)."""
    pairs = zip(draw_images(images, len(rows)), rows.tolist(), strict=True)
    write_csv(path, ["draw", *metrics], ([_checksum(counts), *row] for counts, row in pairs))


def read_resamples(path: Path) -> Resamples | None:
    """None if there is no such file or it is not complete."""
    rows = read_csv(path)
    if not rows or "draw" not in rows[0]:
        return None
    metrics = [name for name in rows[0] if name != "draw"]
    values = {metric: np.array([float(row[metric]) for row in rows]) for metric in metrics}
    return Resamples(tuple(row["draw"] for row in rows), values)


def _checksum(counts: NDArray[np.int64]) -> str:
    return f"{zlib.crc32(counts.astype('<i8').tobytes()):08x}"
