"""predictions.csv of a classification run -> the score of each test image in a metric, so that runs can be paired."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..files.csv_tables import read_csv
from .rows import Run


@dataclass(frozen=True)
class Predictions:
    """The test images of a run, sorted by path, and how it scored on each."""

    images: tuple[tuple[str, str], ...]  # path and label
    right: NDArray[np.bool_]  # (N,)
    columns: dict[str, NDArray[np.float64]]  # further scores of each image, by metric, e.g. its average precision

    def scores(self, metric: str) -> NDArray[np.float64] | None:
        """(N,) scores of which the metric is the mean (over classes, if it is a mean over classes); None if it is no
        such mean."""
        return np.where(self.right, 100.0, 0.0) if metric in {"top1", "mean_per_class"} else self.columns.get(metric)

    def groups(self, metric: str) -> list[NDArray[np.int64]]:
        """Row numbers: the classes for a mean over classes, else one group of all."""
        if metric != "mean_per_class":
            return [np.arange(len(self.images))]
        labels = np.array([label for _, label in self.images])
        return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def scores_of(run: Run, metric: str) -> tuple[Predictions, NDArray[np.float64]] | None:
    """The predictions of a run and the images' scores in a metric; None unless their mean is what the report says."""
    file = run.folder / "predictions.csv" if run.folder else None
    predictions = _read(file, file.stat().st_mtime_ns) if file and file.is_file() else None
    scores = predictions.scores(metric) if predictions else None
    if predictions is None or scores is None:
        return None
    mean = np.mean([scores[rows].mean() for rows in predictions.groups(metric)])
    return (predictions, scores) if abs(mean - run.report.metrics[metric]) < 1e-4 else None


@lru_cache(maxsize=64)
def _read(path: Path, modified_ns: int) -> Predictions | None:  # the time is for the cache alone
    rows = read_csv(path)
    if not rows or not {"path", "label"} <= set(rows[0]):
        return None
    rows.sort(key=lambda row: row["path"])
    columns = {name: _numbers(rows, name) for name in rows[0] if name not in {"path", "label", "predicted"}}
    return Predictions(
        images=tuple((row["path"], row["label"]) for row in rows),
        right=np.array(["predicted" in row and row["label"] == row["predicted"] for row in rows]),
        columns={name: column for name, column in columns.items() if column is not None},
    )


def _numbers(rows: list[dict[str, str]], name: str) -> NDArray[np.float64] | None:
    """A column; None if it is one of words."""
    try:
        return np.array([float(row[name]) for row in rows])
    except ValueError:
        return None
