"""plot.png of a comparison: a panel for each table, a dot for each encoder, a bar for its interval."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from .compare import Comparison, Table
from .compare_rows import Row

OURS, RANDOM, INK, FAINT = "#1f6f8b", "#9aa0a6", "#202124", "#dadce0"


def draw(comparison: Comparison, path: Path) -> None:
    """Writes the picture; the best encoder of each panel is on top."""
    heights = [1.5 + 0.42 * len(table.rows) for table in comparison.tables]
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
    axes.set_yticks(range(len(table.rows)), [row.encoder for row in table.rows])
    axes.set_ylim(len(table.rows) - 0.4, -0.6)  # the first row on top
    axes.margins(x=0.12)
    axes.set_title(table.title, loc="left", fontsize=11, fontweight="bold", color=INK)
    axes.set_xlabel(f"{table.metric}   ({_what_bars_are(table)})", fontsize=9, color=INK)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=INK, labelsize=9)
    axes.spines[:].set_visible(False)


def _draw_row(axes: Axes, place: int, row: Row, primary: str) -> None:
    value = row.values[primary]
    colour = RANDOM if row.encoder.startswith("random:") else OURS
    if value.low is not None and value.high is not None:
        axes.plot(
            [value.low, value.high], [place, place], color=colour, linewidth=2.2, alpha=0.45, solid_capstyle="round"
        )
    axes.plot(value.mean, place, "o", color=colour, markersize=7.5, zorder=3)
    axes.annotate(
        f"{value.mean:.1f}",
        (value.mean, place),
        xytext=(0, 8),
        textcoords="offset points",
        ha="center",
        fontsize=9,
        color=INK,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
    )


def _what_bars_are(table: Table) -> str:
    kinds = sorted({row.interval for row in table.rows if row.values[table.primary].low is not None})
    return f"bars: {' or '.join(kinds)}" if kinds else "no intervals"
