"""A table's rows as cells of text, for every page and terminal that shows them."""

from typing import Any

from .controls import Control
from .published import PublishedRow
from .rows import Difference, Row, Value
from .tables import Table

# All other columns are numbers and align right.
TEXT_COLUMNS = ("encoder", "interval", "test", "pretraining", "architecture", "status", "other source")


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


def control_cells(table: Table, control: Control) -> list[str]:
    """A row of what scores without seeing the images, in the columns of `headings`; it has metrics alone."""
    shown = {table.metric: table.primary, **{name: name for name in table.others}}
    numbers = {heading: control.values.get(metric) for heading, metric in shown.items()}
    texts = {heading: "" if number is None else f"{number:.1f}" for heading, number in numbers.items()}
    return [control.name, *(texts.get(heading, "") for heading in headings(table)[1:])]


def about_controls(table: Table) -> str:
    """How to read the rows of what scores without seeing the images; nothing where there are none."""
    if not table.controls:
        return ""
    return (
        "The last rows see no photo: boxes fitted on the training photos' labels, the same in every test photo, and "
        "each detector's boxes put on other test photos. An encoder shows by what its detector scores beyond them."
    )


def about_intervals(table: Table) -> str:
    """What the intervals of a table hold and what they do not, where its task says so."""
    holds = table.description.get("interval_holds")
    if not holds:
        return ""
    over_runs = any("seeds" in row.interval or "initialisations" in row.interval for row in table.rows)
    more = " One over seeds or initialisations (t) holds the spread between runs, on these test photos."
    return f"An interval over test photos holds {holds}.{more if over_runs else ''}"


def published_headings(table: Table) -> list[str]:
    """Of the columns that `published_cells` fills."""
    assert table.published is not None
    has_others = any(row.source != table.published.source for row in table.published.rows)
    return [
        *("pretraining", "architecture", *table.published.metrics, "status"),
        *(["other source"] if has_others else []),
    ]


def published_cells(table: Table, row: PublishedRow) -> list[str]:
    """A published row as text; the status is that of its first number, and another's stands beside the number."""
    assert table.published is not None
    metrics = table.published.metrics
    usual = row.status(next(metric for metric in metrics if metric in row.values))
    numbers = [
        "" if metric not in row.values else f"{row.values[metric]:.1f}" + _unusual(row.status(metric), usual)
        for metric in metrics
    ]
    source = row.source if row.source != table.published.source else ""
    return [row.pretraining, row.architecture, *numbers, usual, source][: len(published_headings(table))]


def _unusual(status: str, usual: str) -> str:
    return "" if status == usual else f" ({status})"


def _difference_cells(difference: Difference | None) -> list[str]:
    if difference is None:
        return ["baseline", "", ""]
    if difference.p is None:
        return [f"{difference.value:+.1f}", "", "none"]
    interval = f"[{difference.low:+.1f}, {difference.high:+.1f}]"
    return [f"{difference.value:+.1f} {interval}", p_value(difference.p), difference.test]


def p_value(p: float) -> str:
    """ "0.034", or "< 0.001" where more digits would pretend."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def with_interval(value: Value) -> str:
    """ "72.4 [69.5, 75.1]" or, without an interval, "72.4"."""
    ends = f" [{value.low:.1f}, {value.high:.1f}]" if value.low is not None and value.high is not None else ""
    return f"{value.mean:.1f}{ends}"


def describe_data(table: Table) -> str:
    """The data set in a line: its counts as the reports give them."""
    counts = {name: value for name, value in table.dataset.items() if name not in {"name", "digest"}}
    facts = [f"{name.replace('_', ' ')} {_shorten(value)}" for name, value in counts.items()]
    return f"Data: {table.dataset.get('name', 'unnamed')} ({', '.join(facts)}). Engine: {table.engine}."


def _shorten(value: Any) -> str:
    """A value as text, of a long list its ends: COCO has 80 classes."""
    if not isinstance(value, list | tuple):
        return str(value)
    return ", ".join(map(str, value)) if len(value) <= 6 else f"{value[0]}, {value[1]}, …, {value[-1]}"
