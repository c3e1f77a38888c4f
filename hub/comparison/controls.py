"""Scores without seeing the images, e.g. of boxes that are the same for every photo; they stand below the encoders."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..reports.report import Report
from .rows import Row

OF_THE_ENCODER = "on wrong photos"  # the control that each encoder's own detector gives; the others are of the data


@dataclass(frozen=True)
class Control:
    """A row below those of the encoders; its values are percent, by metric."""

    name: str
    values: dict[str, float]


def controls_of(report: Report) -> dict[str, dict[str, float]]:
    """The controls of a report, metrics by name; a report of somebody else may hold anything there."""
    found = report.details.get("controls")
    entries = found.items() if isinstance(found, dict) else ()
    return {str(name): _numbers(values) for name, values in entries if isinstance(values, dict) and _numbers(values)}


def control_rows(rows: Sequence[Row]) -> tuple[Control, ...]:
    """Of a table: those of the data once, then that of each encoder, averaged over its runs."""
    of_runs = {row.encoder: [controls_of(run.report) for run in row.runs] for row in rows}
    of_data = {name: values for found in of_runs.values() for one in found for name, values in one.items()}
    shared = [Control(name, values) for name, values in of_data.items() if name != OF_THE_ENCODER]
    own = [
        Control(f"{encoder} {OF_THE_ENCODER}", _mean([one[OF_THE_ENCODER] for one in found]))
        for encoder, found in of_runs.items()
        if all(OF_THE_ENCODER in one for one in found)
    ]
    return (*shared, *own)


def _numbers(values: dict[Any, Any]) -> dict[str, float]:
    return {
        str(name): float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }


def _mean(entries: Sequence[dict[str, float]]) -> dict[str, float]:
    names = [name for name in entries[0] if all(name in one for one in entries)]
    return {name: sum(one[name] for one in entries) / len(entries) for name in names}
