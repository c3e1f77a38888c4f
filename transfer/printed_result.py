"""What `goodviews transfer` prints of a result: metrics, intervals, what scores without seeing, how to read them."""

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from ..hub.comparison.controls import controls_of
from ..hub.output.terminal import Terminal
from ..hub.reports.report import Report


def print_result(console: Terminal, report: Report) -> None:
    """Prints a table, and the sentences that a reader of it needs."""
    console.print(metrics_table(report))
    for sentence in reading_notes(report):
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)


def metrics_table(report: Report) -> Table:
    """Every metric of a run with its interval; below, the primary one of whatever sees no photo."""
    title = escape(f"{report.task}: {report.encoder.name} on {report.dataset['name']}")
    table = Table("metric", "value", "95 % interval", title=title)
    for name, value in report.metrics.items():
        if not name.endswith(("_low", "_high")):
            low, high = report.metrics.get(f"{name}_low"), report.metrics.get(f"{name}_high")
            interval = f"{low:.1f} to {high:.1f}" if low is not None and high is not None else ""
            table.add_row(f"{name} *" if name == report.primary else name, f"{value:.2f}", interval)
    table.add_section()
    for name, values in _controls(report).items():
        table.add_row(escape(f"{report.primary}, {name}"), f"{values:.2f}", "sees no photo")
    table.caption = f"* {report.description['metric']}, the one that comparisons sort by"
    return table


def reading_notes(report: Report) -> Iterator[str]:
    """Sentences on a result: whether it is more than what scores without seeing, and what its interval holds."""
    controls = _controls(report)
    low = report.metrics.get(f"{report.primary}_low", report.metrics[report.primary])
    if controls and low <= max(controls.values()):
        best = max(controls, key=lambda name: controls[name])
        yield (
            f"Note: {report.primary} is not clearly above what is reached without seeing the photo ({best}: "
            f"{controls[best]:.1f}), so it says little about the encoder."
        )
    if holds := report.description.get("interval_holds"):
        yield f"Note: the interval holds {holds}."


def _controls(report: Report) -> dict[str, float]:
    """The primary metric of each."""
    found = controls_of(report)
    return {name: values[report.primary] for name, values in found.items() if report.primary in values}
