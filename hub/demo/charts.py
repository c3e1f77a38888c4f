"""Geometry of the page's charts, in percent of the drawing area, so that the page can be as narrow as a phone.

The template draws: lines as SVG that stretches, labels as text that does not.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

LABEL = 8.0  # height of a label, in percent of the drawing


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis; `at` in percent from the left or from the top."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """One curve: an SVG point list in a 100 x 100 box, its last value, and how far down to write that."""

    name: str
    points: str
    end: float
    end_at: float


@dataclass(frozen=True)
class LineChart:
    """A chart of one or more curves over the same steps; `level` is a horizontal line worth comparing with."""

    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    level_at: float | None = None


def line_chart(x: Sequence[float], curves: Mapping[str, Sequence[float]], *, level: float | None = None) -> LineChart:
    """A chart whose vertical axis starts at a round number below the lowest value and ends above the highest."""
    values = [value for curve in curves.values() for value in curve] + ([] if level is None else [level])
    ticks_y = round_numbers(min(values), max(values), count=4)
    low, high = min(ticks_y[0], min(values)), max(ticks_y[-1], max(values))
    left, right = x[0], max(x[-1], x[0] + 1)

    def across(value: float) -> float:
        return 100 * (value - left) / (right - left)

    def down(value: float) -> float:
        return 100 * (high - value) / (high - low)

    ends = _apart([down(curve[-1]) for curve in curves.values()])
    lines = tuple(
        Line(name, " ".join(f"{across(a):.2f},{down(b):.2f}" for a, b in zip(x, curve)), curve[-1], end)
        for (name, curve), end in zip(curves.items(), ends)
    )
    ticks_x = [tick for tick in round_numbers(left, right, count=5) if left <= tick <= right]
    return LineChart(
        lines,
        tuple(Tick(across(tick), f"{tick:g}") for tick in ticks_x),
        tuple(Tick(down(tick), f"{tick:g}") for tick in ticks_y),
        None if level is None else down(level),
    )


def running_mean(values: Sequence[float], width: int) -> list[float]:
    """Mean of each value and the up to `width` - 1 before it."""
    return [sum(values[max(0, i + 1 - width) : i + 1]) / min(width, i + 1) for i in range(len(values))]


def _apart(heights: Sequence[float]) -> list[float]:
    """Where to write the labels of curves that end at `heights`, so that none lies on another."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    placed = list(heights)
    for above, below in pairwise(order):
        placed[below] = max(placed[below], placed[above] + LABEL)
    return placed


def round_numbers(low: float, high: float, *, count: int) -> list[float]:
    """About `count` equally spaced numbers with few digits that span `low` to `high`."""
    span = (high - low) or abs(high) or 1.0
    raw = span / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]
