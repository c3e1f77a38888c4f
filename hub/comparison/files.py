"""A comparison as files: comparison.json (everything), .csv (tidy), .md, .html (self-contained), plot.png."""

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..files.atomic import new_folder, write_json, write_text
from ..files.csv_tables import write_csv
from ..files.overwrite import Input
from ..output.printing import markdown_text
from ..output.templates import fill_template
from ..reports.provenance import command, version
from .cells import (
    TEXT_COLUMNS,
    about_controls,
    about_intervals,
    cells,
    control_cells,
    describe_data,
    headings,
    published_cells,
    published_headings,
)
from .plot import draw
from .rows import Difference
from .tables import Comparison, Table

FORMAT = 2
CSV_COLUMNS = (
    *("table", "task", "dataset", "engine", "encoder", "architecture", "runs"),
    *("metric", "value", "low", "high", "interval"),
    *("baseline", "difference", "difference_low", "difference_high", "p", "test"),
    *("published", "status", "source"),
)


def write(comparison: Comparison, out: Path, *, overwrite: bool = False, inputs: Sequence[Input] = ()) -> Path:
    """Makes the folder `out`, whole or not at all.

    Raises:
        OutputExists: `out` exists and `overwrite` is not set.
    """
    with new_folder(out, overwrite, kind="comparison", inputs=inputs) as folder:
        draw(comparison, folder / "plot.png")
        write_json(folder / "comparison.json", {"format": FORMAT, "version": version(), **_as_values(comparison)})
        write_csv(folder / "comparison.csv", CSV_COLUMNS, csv_rows(comparison))
        write_text(folder / "comparison.md", markdown(comparison))
        write_text(folder / "comparison.html", html(comparison, (folder / "plot.png").read_bytes()))
    return out


def csv_rows(comparison: Comparison) -> Iterator[list[Any]]:
    """A row a number, with task and data beside it, so that no column mixes protocols unnoticed."""
    for number, table in enumerate(comparison.tables, start=1):
        about = (number, table.protocol.name, table.dataset.get("name"), table.engine)
        for row in table.rows:
            of_encoder = (*about, row.encoder, row.architecture, len(row.runs))
            for metric, value in row.values.items():
                kind = row.interval if value.low is not None else None
                against = _against(table, row.differences.get(metric))
                numbers = (metric, value.mean, value.low, value.high, kind, *against)
                yield [*of_encoder, *numbers, None, "measured", None]
        for published in _published_rows(table):
            yield [*about, *published]
        for control in table.controls:
            for metric, reached in control.values.items():
                yield [*about, control.name, None, None, metric, reached, *[None] * 10, "control", None]


def _published_rows(table: Table) -> Iterator[list[str | float | None]]:
    """Published numbers have a column of their own, so that nothing averages them with ours."""
    if table.published is None:
        return
    for row in table.published.rows:
        for metric, value in row.values.items():
            about = [row.pretraining, row.architecture, None, metric]
            yield [*about, *[None] * 10, value, row.status(metric), row.source]


def _against(table: Table, difference: Difference | None) -> list[str | float | None]:
    if difference is None:
        return [None] * 6
    ends = (difference.low, difference.high)
    return [table.baseline, difference.value, *ends, difference.p, difference.test]


def _as_values(comparison: Comparison) -> dict[str, Any]:
    """Where files lay on the machine that measured is left out, since comparisons get published."""
    return asdict(comparison, dict_factory=lambda items: {name: x for name, x in items if name != "folder"})


def markdown(comparison: Comparison) -> str:
    """A section for each table, then the notes."""
    sections = [_markdown_table(table) for table in comparison.tables]
    notes = ["".join(f"- {markdown_text(note)}\n" for note in comparison.notes)] if comparison.notes else []
    return "\n".join(sections + notes)


def _markdown_table(table: Table) -> str:
    names = headings(table)
    ruler = ["---" if name in TEXT_COLUMNS else "---:" for name in names]
    lines = [names, ruler, *(cells(table, row) for row in table.rows)]
    lines += [control_cells(table, control) for control in table.controls]
    body = markdown_lines([[_cell(cell) for cell in line] for line in lines])
    title, data = markdown_text(table.title), markdown_text(describe_data(table))
    below = "".join(f"\n{sentence}\n" for sentence in (about_controls(table), about_intervals(table)) if sentence)
    return f"## {title}\n\n{data}\n\n{body}{below}{_markdown_published(table)}"


def _markdown_published(table: Table) -> str:
    if table.published is None:
        return ""
    names = published_headings(table)
    rows = [[_cell(cell) for cell in published_cells(table, row)] for row in table.published.rows]
    lines = [names, ["---"] * len(names), *rows]
    return f"\n**Published, not measured here: {table.published.about}**\n\n{markdown_lines(lines)}"


def markdown_lines(lines: Sequence[Sequence[str]]) -> str:
    """A table of cells: headings, then a ruler of dashes, then rows."""
    return "".join("| " + " | ".join(re.sub(r"(?<!\\)\|", r"\|", cell) for cell in line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    """Numbers and rulers are our own; every other cell may hold a name that somebody chose."""
    return text if re.fullmatch(r"[-+.,:<\[\]\d ]*", text) else markdown_text(text)


def html(comparison: Comparison, plot_png: bytes) -> str:
    """One page that needs no other file and no network."""
    values = {
        "comparison": comparison,
        "plot": base64.b64encode(plot_png).decode(),
        "headings": headings,
        "cells": cells,
        "control_cells": control_cells,
        "sentences": lambda table: [text for text in (about_controls(table), about_intervals(table)) if text],
        "describe_data": describe_data,
        "text_columns": TEXT_COLUMNS,
        "published_headings": published_headings,
        "published_cells": published_cells,
        "command": command(),
        "version": version(),
    }
    return fill_template("goodviews.hub.comparison", "page.html.j2", values)
