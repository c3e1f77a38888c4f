"""curve.png of a sweep: accuracy over I_NCE with its curve, over what is changed, as a heat map, or as bars."""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#1f6f8b", "#c0562f", "#5b7f3a", "#7a4f9a", "#8a6d1d", "#3b3f46")
INK, FAINT = "#202124", "#dadce0"
_WIDTH, _HEIGHT = 5.4, 4.0
_TITLE_POINTS = 11
_LETTER_WIDTH = 0.6  # of the font's size; that of most sentences is 0.5


def draw(report: dict[str, Any], path: Path) -> None:
    """Writes the picture."""
    picture(report).savefig(path, dpi=110)


def picture(report: dict[str, Any]) -> Figure:
    """What the report shows, under its question."""
    names = list(report["points"][0]["scores"])
    if report["grid"]:
        figure, panels = _panels(len(names))
        for axes, name in zip(panels, names):
            _draw_grid(axes, report, name)
    elif report["curves"]:
        with_axis = bool(report["axis"])
        figure, panels = _panels(len(names) + with_axis)
        for axes, name, colour in zip(panels, names, COLOURS):
            _draw_curve(axes, report, name, colour)
        if with_axis:
            _draw_over_axis(panels[-1], report, names)
    elif report["axis"]:
        figure, panels = _panels(1)
        _draw_families(panels[0], report, names)
    else:
        figure, panels = _panels(1 + bool(names), height=1.4 + 0.32 * max(4, len(report["points"])))
        _draw_information(panels[0], report)
        if names:
            _draw_matrix(panels[1], report, names)
    title = f"{_wrapped(report['question'], figure)}\n{report['data']['name']}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=_TITLE_POINTS, color=INK)
    return figure


def _wrapped(text: str, figure: Figure) -> str:
    """The text in as many lines as the figure's width asks for."""
    letters = int(0.97 * figure.get_figwidth() * 72 / (_LETTER_WIDTH * _TITLE_POINTS))
    return textwrap.fill(text, letters)


def _panels(count: int, height: float = _HEIGHT) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(_WIDTH * count + 0.6 * (count == 1), height + 0.6), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def _draw_curve(axes: Axes, report: dict[str, Any], name: str, colour: str) -> None:
    x = [point["information"]["nats"] for point in report["points"]]
    for point, place in zip(report["points"], x):
        score, information = point["scores"][name], point["information"]
        axes.errorbar(
            place,
            score["top1"],
            xerr=[[place - information["low"]], [information["high"] - place]],
            yerr=[[score["top1"] - score["low"]], [score["high"] - score["top1"]]],
            fmt="o",
            color=colour,
            elinewidth=0.9,
            alpha=0.9,
        )
        axes.scatter(information["of_seeds"], score["of_seeds"], s=9, color=colour, alpha=0.35)
        axes.annotate(point["name"], (place, score["top1"]), xytext=(5, 5), textcoords="offset points", fontsize=7.5)
    curve = report["curves"][name]
    if curve["coefficients"]:
        line = np.linspace(min(x), max(x), 100)
        axes.plot(line, np.polyval(curve["coefficients"], line), color=colour, linewidth=1.4, alpha=0.7)
    if curve["apex"] is not None and curve["inside"] >= 0.5:
        axes.axvspan(curve["apex_low"], curve["apex_high"], color=colour, alpha=0.07)
        axes.axvline(curve["apex"], color=colour, linestyle=(0, (4, 3)), linewidth=1)
    _dress(axes, f"I_NCE, nats; ceiling {report['points'][0]['information']['ceiling']:.2f}", f"{name}, top-1 %")


def _draw_over_axis(axes: Axes, report: dict[str, Any], names: list[str]) -> None:
    x = [point["value"] for point in report["points"]]
    for name, colour in zip(names, COLOURS):
        y = [point["scores"][name]["top1"] for point in report["points"]]
        axes.plot(x, y, "o-", color=colour, linewidth=1.4, markersize=4, label=name)
    other = axes.twinx()
    nats = [point["information"]["nats"] for point in report["points"]]
    other.plot(x, nats, "s:", color=INK, linewidth=1, markersize=3, label="I_NCE (right), nats")
    other.spines[["top", "left"]].set_visible(False)
    lines = [*axes.get_lines(), *other.get_lines()]
    axes.legend(lines, [str(line.get_label()) for line in lines], frameon=False, fontsize=8)
    _dress(axes, report["axis"], "top-1 %")


def _draw_families(axes: Axes, report: dict[str, Any], names: list[str]) -> None:
    """A line for each score and for each way that the points' names tell after their comma."""
    families = list(dict.fromkeys(point["name"].partition(", ")[2] for point in report["points"]))
    for family, style in zip(families, ("o-", "s--", "^:")):
        points = [point for point in report["points"] if point["name"].partition(", ")[2] == family]
        for name, colour in zip(names, COLOURS):
            y = [point["scores"][name] for point in points]
            low, high = ([abs(one[end] - one["top1"]) for one in y] for end in ("low", "high"))
            x, top1 = [point["value"] for point in points], [one["top1"] for one in y]
            axes.errorbar(x, top1, yerr=[low, high], fmt=style, color=colour, markersize=4, elinewidth=0.8,
                          label=f"{name}; {family}")  # fmt: skip
    axes.legend(frameon=False, fontsize=7.5)
    _dress(axes, report["axis"], "top-1 %")


def _draw_grid(axes: Axes, report: dict[str, Any], name: str) -> None:
    rows, columns = report["grid"]
    found = {frozenset(point["name"].split(" + ")): point["scores"][name]["top1"] for point in report["points"]}
    values = np.array([[found.get(frozenset((row, column)), np.nan) for column in columns] for row in rows])
    axes.imshow(values, cmap="YlGnBu", vmin=np.nanmin(values) - 5, vmax=np.nanmax(values) + 5)
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=9, color=INK)
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right", fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_title(f"{name}, top-1 %", loc="left", fontsize=10)
    axes.spines[:].set_visible(False)


def _draw_information(axes: Axes, report: dict[str, Any]) -> None:
    """What the views of each point share."""
    for place, point in enumerate(report["points"]):
        information = point["information"]
        axes.barh(place, information["nats"], color=COLOURS[0], alpha=0.75, height=0.7)
        axes.plot([information["low"], information["high"]], [place, place], color=INK, linewidth=1.2)
    axes.axvline(report["points"][0]["information"]["ceiling"], color=INK, linestyle=(0, (2, 3)), linewidth=1)
    axes.set_yticks(range(len(report["points"])), [point["name"] for point in report["points"]])
    axes.set_ylim(len(report["points"]) - 0.5, -0.5)  # the first on top, beside its row of scores
    _dress(axes, "I_NCE, nats; dashed: its ceiling", "")


def _draw_matrix(axes: Axes, report: dict[str, Any], names: list[str]) -> None:
    """Scores of each point, a column each; a colour compares within its column."""
    values = np.array([[point["scores"][name]["top1"] for name in names] for point in report["points"]])
    span = np.ptp(values, axis=0)
    shades = (values - values.min(axis=0)) / np.where(span > 0, span, 1)
    axes.imshow(shades, cmap="YlGnBu", vmin=-0.3, vmax=2.2, aspect="auto")
    for row, point in enumerate(report["points"]):
        for column, name in enumerate(names):
            score = point["scores"][name]
            text = f"{score['top1']:.1f} ± {(score['high'] - score['low']) / 2:.1f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=INK)
    axes.set_xticks(range(len(names)), [name.replace(" ", "\n", 1) for name in names], fontsize=8)
    axes.set_yticks(range(len(report["points"])), [""] * len(report["points"]))
    axes.set_title("top-1 %", loc="left", fontsize=10)
    axes.spines[:].set_visible(False)


def _dress(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
