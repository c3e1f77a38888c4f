"""curves.png and classes.png of a detection run: precision by recall, and average precision, class by class."""

import math
import textwrap
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ..evaluation.precision_recall import ByClass, Curve

OURS, INK, QUIET, FAINT = "#1f6f8b", "#202124", "#77736d", "#dadce0"
COLUMNS = 6  # of panels, at most ten
TITLE_IN, NAME_IN = 0.112, 0.075  # width of a letter of a title, of a class's name
TITLE_LINE_IN = 0.22


def draw_curves(classes: ByClass, path: Path, *, title: str) -> None:
    """Writes a panel for each class, in their order; there must be one."""
    curves = classes.curves
    columns = min(len(curves), COLUMNS if len(curves) <= 24 else 10)
    rows = math.ceil(len(curves) / columns)
    side = 3.6 if len(curves) == 1 else 2.1 if len(curves) <= 24 else 1.55
    figure = Figure(figsize=(max(5.2, side * columns), side * rows + 1.1), layout=ConstrainedLayoutEngine(h_pad=0.06))
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, one in zip(panels.flat, curves):
        _draw_curve(axes, one, side)
    for axes in panels.flat[len(curves) :]:
        axes.set_visible(False)
    for axes in panels.flat[max(0, len(curves) - columns) : len(curves)]:  # the last of each column
        axes.tick_params(labelbottom=True)
    _write_title(figure, title, f"AP{100 * classes.threshold:.0f} of each class and its number of objects")
    figure.supxlabel(f"recall at IoU {classes.threshold}, %", fontsize=9, color=INK)
    figure.supylabel("interpolated precision, %", fontsize=9, color=INK)
    figure.savefig(path, dpi=110)


def draw_classes(classes: ByClass, path: Path, *, title: str) -> None:
    """Writes a bar for the score of each class, the best on top, and a line at their mean; there must be one."""
    ranked = sorted(classes.scores, key=lambda name: (-classes.scores[name], name))
    scores, objects = [classes.scores[name] for name in ranked], {one.name: one.objects for one in classes.curves}
    figure = Figure(
        figsize=(7.6, 1.6 + (0.24 if len(ranked) <= 40 else 0.19) * len(ranked)),
        layout=ConstrainedLayoutEngine(h_pad=0.08),
    )
    axes = figure.subplots()
    places, mean = range(len(ranked)), sum(scores) / len(scores)
    axes.barh(places, scores, height=0.62, color=OURS, zorder=2)
    for place, score in zip(places, scores):
        axes.annotate(f"{score:.1f}", (score, place), (4, 0), textcoords="offset points", va="center", fontsize=8)
    if len(ranked) > 1:
        axes.axvline(mean, color=QUIET, linestyle=(0, (4, 3)), linewidth=1, zorder=1)
    axes.set_yticks(places, [f"{name} ({objects[name]})" for name in ranked])
    axes.set_ylim(len(ranked) - 0.4, -0.6)
    axes.set_xlim(0, max(5.0, 1.12 * scores[0]))
    means = f"; dashed: their mean, {mean:.1f}" if len(ranked) > 1 else ""
    _write_title(figure, title, f"class (objects){means}")
    axes.set_xlabel(f"{classes.metric.replace('_', ' ')}, %", fontsize=9, color=INK)
    _remove_frame(axes)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    figure.savefig(path, dpi=110)


def _write_title(figure: Figure, title: str, subtitle: str) -> None:
    """Writes both whole, in as many lines as the figure's width needs."""
    width_in = figure.get_figwidth()
    lines = [*textwrap.wrap(title, int(width_in / TITLE_IN)), ""]
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    height_in = figure.get_figheight() + TITLE_LINE_IN * len(lines)
    figure.set_figheight(height_in)
    below_in = 0.02 * height_in + TITLE_LINE_IN * (len(lines) - 1)
    figure.text(0.01, 1 - below_in / height_in, subtitle, va="top", fontsize=9, color=QUIET)


def _draw_curve(axes: Axes, one: Curve, side_in: float) -> None:
    """Draws one curve with the area below it filled; where recall ends it falls to 0."""
    recall, precision = [*one.recall, one.recall[-1]], [*one.precision, 0.0]
    axes.fill_between(recall, precision, step="pre", color=OURS, alpha=0.16, linewidth=0)
    axes.plot(recall, precision, drawstyle="steps-pre", color=OURS, linewidth=1.4)
    name = "\n".join(textwrap.wrap(one.name, max(8, int(side_in / NAME_IN))))
    axes.set_title(name, fontsize=8.5, loc="left", color=INK, pad=3)
    axes.text(0.03, 0.04, f"{one.ap:.1f} ({one.objects})", fontsize=8, color=INK)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.04)
    axes.set_xticks([0, 0.5, 1], ["0", "50", "100"])
    axes.set_yticks([0, 0.5, 1], ["0", "50", "100"])
    _remove_frame(axes)
    axes.grid(color=FAINT, linewidth=0.7)


def _remove_frame(axes: Axes) -> None:
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=INK, labelsize=8)
    axes.spines[:].set_visible(False)
