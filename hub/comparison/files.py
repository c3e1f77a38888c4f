"""A comparison as files: comparison.json (everything), .csv (tidy), .md, .html (self-contained), plot.png."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..atomic import new_folder, write_json, write_text
from ..csv_tables import write_csv
from ..provenance import command, version
from ..templates import fill_template
from .plot import draw
from .published import PublishedRow
from .rows import Difference, Row, Value
from .tables import Comparison, Table

FORMAT = 2
# All other columns are numbers and align right.
TEXT_COLUMNS = ("encoder", "interval", "test", "pretraining", "architecture", "status", "other source")
CSV_COLUMNS = (
    *("table", "task", "dataset", "engine", "encoder", "architecture", "runs"),
    *("metric", "value", "low", "high", "interval"),
    *("baseline", "difference", "difference_low", "difference_high", "p", "test"),
    *("published", "status", "source"),
)


def write(comparison: Comparison, out: Path, *, overwrite: bool = False) -> Path:
    """Makes the folder `out`, whole or not at all.

    Raises:
        OutputExists: `out` exists and `overwrite` is not set.
    """
    with new_folder(out, overwrite) as folder:
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


def _published_rows(table: Table) -> Iterator[list[str | float | None]]:
    """Published numbers have a column of their own, so that nothing averages them with ours."""
    if table.published is None:
        return
    for row in table.published.rows:
        for metric, value in row.values.items():
            about = [row.pretraining, row.architecture, None, metric]
            yield [*about, *[None] * 10, value, row.status(metric), row.source]


def _against(table: Table, found: Difference | None) -> list[str | float | None]:
    return [table.baseline, found.value, found.low, found.high, found.p, found.test] if found else [None] * 6


def _as_values(comparison: Comparison) -> dict[str, Any]:
    """Where files lay on the machine that measured is left out, since comparisons get published."""
    return asdict(comparison, dict_factory=lambda items: {name: x for name, x in items if name != "folder"})


def markdown(comparison: Comparison) -> str:
    """A section for each table, then the notes."""
    sections = [_markdown_table(table) for table in comparison.tables]
    notes = ["".join(f"- {note}\n" for note in comparison.notes)] if comparison.notes else []
    return "\n".join(sections + notes)


def _markdown_table(table: Table) -> str:
    names = headings(table)
    ruler = ["---" if name in TEXT_COLUMNS else "---:" for name in names]
    lines = [names, ruler, *(cells(table, row) for row in table.rows)]
    body = markdown_lines(lines)
    return f"## {table.title}\n\n{describe_data(table)}\n\n{body}{_markdown_published(table)}"


def _markdown_published(table: Table) -> str:
    if table.published is None:
        return ""
    names = published_headings(table)
    lines = [names, ["---"] * len(names), *(published_cells(table, row) for row in table.published.rows)]
    return f"\n**Published, not measured here: {table.published.about}**\n\n{markdown_lines(lines)}"


def markdown_lines(lines: Sequence[Sequence[str]]) -> str:
    """A table of cells: headings, then a ruler of dashes, then rows."""
    return "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines)


def headings(table: Table) -> list[str]:
    """Of the columns that `cells` fills."""
    against = [f"against {table.baseline}", "p", "test"] if table.baseline else []
    return ["encoder", table.metric, "interval", *against, "runs", *table.others]


def cells(table: Table, row: Row) -> list[str]:
    """A row as text: the primary metric, its interval's kind, the difference to a baseline, the runs, other metrics."""
    against = _difference_cells(row.differences.get(table.primary)) if table.baseline else []
    others = [f"{row.values[name].mean:.1f}" for name in table.others]
    primary = with_interval(row.values[table.primary])
    return [row.encoder, primary, row.interval, *against, str(len(row.runs)), *others]


def published_headings(table: Table) -> list[str]:
    """Of the columns that `published_cells` fills."""
    assert table.published is not None
    has_others = any(row.source != table.published.source for row in table.published.rows)
    return [
        *("pretraining", "architecture", *table.published.metrics, "status"),
        *(["other source"] if has_others else []),
    ]


def published_cells(table: Table, row: PublishedRow) -> list[str]:
    """A published row as text; the status is that of the table's first metric, and another's is said beside it."""
    assert table.published is not None
    metrics = table.published.metrics
    known = [metric for metric in metrics if metric in row.values]
    usual = row.status(known[0])
    numbers = [
        "" if metric not in row.values else f"{row.values[metric]:.1f}" + _unusual(row.status(metric), usual)
        for metric in metrics
    ]
    source = row.source if row.source != table.published.source else ""
    return [row.pretraining, row.architecture, *numbers, usual, source][: len(published_headings(table))]


def _unusual(status: str, usual: str) -> str:
    return "" if status == usual else f" ({status})"


def _difference_cells(found: Difference | None) -> list[str]:
    if found is None:
        return ["baseline", "", ""]
    if found.p is None:
        return [f"{found.value:+.1f}", "", "none"]
    return [f"{found.value:+.1f} [{found.low:+.1f}, {found.high:+.1f}]", p_value(found.p), found.test]


def p_value(p: float) -> str:
    """ "0.034", or "< 0.001" where more digits would pretend."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def with_interval(value: Value) -> str:
    """ "72.4 [69.5, 75.1]" or, without an interval, "72.4"."""
    ends = f" [{value.low:.1f}, {value.high:.1f}]" if value.low is not None and value.high is not None else ""
    return f"{value.mean:.1f}{ends}"


def describe_data(table: Table) -> str:
    """The data set in a line: its counts as the reports give them."""
    told = {name: value for name, value in table.dataset.items() if name not in {"name", "digest"}}
    facts = [f"{name.replace('_', ' ')} {_in_words(value)}" for name, value in told.items()]
    return f"Data: {table.dataset.get('name', 'unnamed')} ({', '.join(facts)}). Engine: {table.engine}."


def _in_words(value: Any) -> str:
    """Of a long list its ends: COCO has 80 classes."""
    if not isinstance(value, list | tuple):
        return str(value)
    return ", ".join(map(str, value)) if len(value) <= 6 else f"{value[0]}, {value[1]}, …, {value[-1]}"


def html(comparison: Comparison, plot_png: bytes) -> str:
    """One page that needs no other file and no network."""
    values = {
        "comparison": comparison,
        "plot": base64.b64encode(plot_png).decode(),
        "headings": headings,
        "cells": cells,
        "describe_data": describe_data,
        "text_columns": TEXT_COLUMNS,
        "published_headings": published_headings,
        "published_cells": published_cells,
        "command": command(),
        "version": version(),
    }
    return fill_template("goodviews.hub.comparison", "page.html.j2", values)
