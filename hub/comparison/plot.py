"""plot.png of a comparison: a panel for each table, a dot for each encoder, a bar for its interval.

Below a line: hollow squares for what scores without seeing the photo, hollow diamonds for published rows.
"""

import textwrap
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from .published import PublishedRow
from .rows import Row
from .tables import Comparison, Table

TITLE_LETTERS = 46  # in a line of a panel's title
OURS, RANDOM, INK, FAINT = "#1f6f8b", "#9aa0a6", "#202124", "#dadce0"


def draw(comparison: Comparison, path: Path) -> None:
    """Writes the picture; the best encoder of each panel is on top."""
    heights = [
        1.5
        + 0.18 * (len(table.title) // TITLE_LETTERS)
        + 0.42 * (len(table.rows) + len(_controls(table)) + len(_published(table)))
        for table in comparison.tables
    ]
    figure = Figure(figsize=(8.2, sum(heights)), layout=ConstrainedLayoutEngine(h_pad=0.12))
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, table in zip(panels, comparison.tables):
        _draw_table(axes, table)
    figure.savefig(path, dpi=150)


def _draw_table(axes: Axes, table: Table) -> None:
    for place, row in enumerate(table.rows):
        _draw_row(axes, place, row, table.primary)
    for row in table.rows:
        if row.encoder == table.baseline:
            axes.axvline(row.values[table.primary].mean, color=RANDOM, linestyle=(0, (4, 3)), linewidth=1, zorder=1)
    names = [row.encoder for row in table.rows]
    for others, marker in ((_controls(table), "s"), (_published(table), "D")):
        _draw_others(axes, others, marker, start=len(names))
        names += [name for name, _ in others]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)  # the first row on top
    axes.margins(x=0.12)
    title = "\n".join(textwrap.wrap(f"{table.title}, {table.library}", TITLE_LETTERS))
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK)
    axes.set_xlabel(f"{table.metric}\n({_what_bars_are(table)})", fontsize=9, color=INK)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=INK, labelsize=9)
    axes.spines[:].set_visible(False)


def _draw_others(axes: Axes, others: list[tuple[str, float]], marker: str, *, start: int) -> None:
    """Hollow marks below a line."""
    for place, (_, value) in enumerate(others, start=start):
        axes.plot(value, place, marker, color=INK, markerfacecolor="none", markersize=6, zorder=3)
        _write_value(axes, value, place)
    if others:
        axes.axhline(start - 0.5, color=FAINT, linewidth=1.6)


def _draw_row(axes: Axes, place: int, row: Row, primary: str) -> None:
    value = row.values[primary]
    colour = RANDOM if row.encoder.startswith("random:") else OURS
    if value.low is not None and value.high is not None:
        axes.plot(
            [value.low, value.high], [place, place], color=colour, linewidth=2.2, alpha=0.45, solid_capstyle="round"
        )
    axes.plot(value.mean, place, "o", color=colour, markersize=7.5, zorder=3)
    _write_value(axes, value.mean, place)


def _controls(table: Table) -> list[tuple[str, float]]:
    """Names and values of what scores without seeing the images."""
    return [(one.name, one.values[table.primary]) for one in table.controls if table.primary in one.values]


def _published(table: Table) -> list[tuple[str, float]]:
    """Names and values of the published rows that have the primary metric; others than ResNet-50 are named."""
    if table.published is None:
        return []
    return [
        (_published_name(row, table.primary), row.values[table.primary])
        for row in table.published.rows
        if table.primary in row.values
    ]


def _published_name(row: PublishedRow, metric: str) -> str:
    network = "" if row.architecture == "ResNet-50" else f", {row.architecture}"
    doubt = "?" if row.marks[metric] == "mem" else ""
    return f"{row.pretraining}{network} (published{doubt})"


def _write_value(axes: Axes, value: float, place: int) -> None:
    axes.annotate(
        f"{value:.1f}",
        (value, place),
        xytext=(0, 8),
        textcoords="offset points",
        ha="center",
        fontsize=9,
        color=INK,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
    )


def _what_bars_are(table: Table) -> str:
    kinds = sorted({row.interval for row in table.rows if row.values[table.primary].low is not None})
    bars = f"bars: {' or '.join(kinds)}" if kinds else "no intervals"
    squares = ";\nsquares: without seeing the photo" if _controls(table) else ""
    diamonds = ";\ndiamonds: published by others; ? unverified" if table.published else ""
    return bars + squares + diamonds
