"""The commands `transfer`, `tasks` and `compare`; everything they do is in the library."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..hub.errors import DataError, UsageError
from .task import Setup, Task
from .tasks import SHORT_BUDGETS, TASKS, find_task, whole_task

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from ..hub.comparison.tables import Table
    from ..hub.photo_encoder import PhotoEncoder
    from ..hub.report import Report

_USUAL = Setup()


def transfer(
    task: str,
    *,
    encoder: str | None = None,
    data: Path | None = None,
    out: Path | None = None,
    check: bool = False,
    device: str | None = None,
    setup: Annotated[Setup, Parameter(name="*")] = _USUAL,
    set: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Measure how an encoder transfers: fine-tune what the task says, score it, write OUT/report.json.

    Example: goodviews transfer knn --encoder runs/mine/encoder --data DIR --out runs/knn

    Args:
        task: What to measure; `goodviews tasks` lists the names.
        encoder: A folder, torchvision:NAME, timm:NAME, or random:NAME for the untrained network to compare with; for
            tasks that train nothing below the features also what `goodviews export` wrote.
        data: The data, laid out as `goodviews tasks` says for the task; your own in that layout will do. Detection
            looks where DETECTRON2_DATASETS points if none is given.
        out: The folder to make.
        check: Train nothing; say what the data hold and everything that is wrong with them. Needs no --encoder, --out.
        device: cpu, cuda, cuda:1, ...; by default the GPU if there is one.
        set: Settings of the task to change, e.g. --set epochs=3 schedule.factor=0.1; the report's name then tells
            them, and it is compared with no report of the task itself.
        overwrite: Replace OUT if it exists.
    """
    from rich.console import Console

    from ..hub.atomic import refuse_existing

    chosen = find_task(task).changed(set)
    data = data or _usual_data(task, chosen)
    if check:
        _check_data(chosen, data)
        return
    if encoder is None or out is None:
        lacking = " and ".join(name for name, value in (("--encoder", encoder), ("--out", out)) if value is None)
        raise UsageError(f"{lacking} must be given: the encoder to measure, and the folder to make.")
    refuse_existing(out, overwrite)
    setup = replace(setup, progress=True)
    report = chosen.run(_load(encoder, device), data, out, setup=setup, overwrite=overwrite)
    console = Console()
    console.print(_metrics_table(report))
    if report.dataset.get("skipped_images"):
        console.print(
            f"{report.dataset['skipped_images']} images could not be read; {out / 'skipped.txt'} lists them.",
            markup=False,
        )
    console.print(f"Results: {out}", highlight=False, markup=False, soft_wrap=True)


def _usual_data(name: str, task: Task) -> Path:
    """Where the data are if nobody says."""
    variable = task.data_variable
    if variable and os.environ.get(variable):
        return Path(os.environ[variable])
    hint = f", or set {variable} to the folder that holds VOC2007 or coco" if variable else ""
    raise UsageError(f"{name} needs --data, laid out as {task.layout}{hint}.")


def _check_data(task: Task, data: Path) -> None:
    from rich.console import Console

    console, checked = Console(), task.check(task.measure, data)
    console.print(f"{data}: {checked.summary}.", highlight=False, markup=False, soft_wrap=True)
    for note in checked.notes:
        console.print(f"Note: {note}", highlight=False, markup=False, soft_wrap=True)
    for problem in checked.problems:
        console.print(f"- {problem}", highlight=False, markup=False, soft_wrap=True)
    if checked.problems:
        count = "One thing is" if len(checked.problems) == 1 else f"{len(checked.problems)} things are"
        raise DataError(f"{count} wrong with {data}; nothing was trained.")
    console.print("Nothing is wrong with them.")


def tasks() -> None:
    """List the tasks, by the data that they read: what each is, what is fine-tuned and what is measured."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    tables: dict[str, RichTable] = {}
    for name, make in TASKS.items():
        if whole_task(name) != name:
            continue
        task = make()
        if task.layout not in tables:
            title = escape(f"Reads {task.layout}")
            tables[task.layout] = Table("task", "what it is", title=title, title_justify="left", show_lines=True)
            tables[task.layout].columns[0].no_wrap = True
        protocol = f" (protocol {task.name})" if task.name != name else ""
        measured = escape(f"Fine-tunes {task.fine_tuned}; {task.metric}{protocol}")
        shorter = "\n".join(name + end for end in SHORT_BUDGETS if name + end in TASKS)
        names = f"{name}\n[dim]{shorter}[/]" if shorter else name
        tables[task.layout].add_row(names, f"{escape(_summary(make))}\n[dim]{measured}[/]")
    for table in tables.values():
        Console().print(table)


def _summary(make: Callable[[], Task]) -> str:
    """The first paragraph of a task's docstring."""
    return " ".join((inspect.getdoc(make) or "").split("\n\n")[0].split())


def compare(
    runs: list[Path],
    *,
    out: Path,
    baseline: str | None = None,
    published: bool = False,
    attach: list[Path] | None = None,
    overwrite: bool = False,
) -> None:
    """Put the reports of several encoders into tables and a plot; different protocols never share a column.

    Args:
        runs: RUN folders of `goodviews transfer`, report.json files, or encoder folders with reports/.
        out: The folder to make: comparison.html, .md, .csv, .json and plot.png.
        baseline: Name of an encoder; the tables then say how far every other is from it, and how sure that is.
        published: Show beside each table what others published by the same protocol on the same data.
        attach: Encoder folders; the reports that are of their weights join them, and their cards are made anew.
        overwrite: Replace OUT if it exists, and attached results of the same measurement.
    """
    from rich.console import Console

    from ..hub.atomic import refuse_existing
    from ..hub.attach import attach_reports, reports_of
    from ..hub.comparison import files as compare_files
    from ..hub.comparison.tables import compare as put_together
    from ..hub.comparison.tables import read_runs

    refuse_existing(out, overwrite)
    read = read_runs(runs)
    comparison = put_together(read, baseline=baseline, published=published)
    theirs = {folder: reports_of(folder, [run.report for run in read]) for folder in attach or []}
    attached = [file for folder, its in theirs.items() for file in attach_reports(folder, its, overwrite=overwrite)]
    compare_files.write(comparison, out, overwrite=overwrite)
    console = Console()
    for table in comparison.tables:
        console.print(_comparison_table(table))
        if table.published:
            console.print(_published_table(table))
    for note in comparison.notes:
        console.print(f"Note: {note}", highlight=False, markup=False)
    for file in attached:
        console.print(f"Attached: {file}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"Results: {out}; open {out / 'comparison.html'}", highlight=False, markup=False, soft_wrap=True)


def _load(encoder: str, device: str | None) -> PhotoEncoder:
    import torch

    from ..hub.onnx_encoder import is_exported
    from ..hub.photo_encoder import open_encoder

    if is_exported(encoder):
        return open_encoder(encoder, device=device or "cpu")
    name = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError):  # torch built without CUDA asserts
        raise UsageError(f"--device {name} is not to be had here; give cpu, or leave it out.") from None
    return open_encoder(encoder, device=name)


def _metrics_table(report: Report) -> RichTable:
    from rich.markup import escape
    from rich.table import Table

    title = escape(f"{report.task}: {report.encoder.name} on {report.dataset['name']}")
    table = Table("metric", "value", "95 % interval", title=title)
    for name, value in report.metrics.items():
        if not name.endswith(("_low", "_high")):
            low, high = report.metrics.get(f"{name}_low"), report.metrics.get(f"{name}_high")
            interval = f"{low:.1f} to {high:.1f}" if low is not None and high is not None else ""
            table.add_row(f"{name} *" if name == report.primary else name, f"{value:.2f}", interval)
    table.caption = f"* {report.description['metric']}, the one that comparisons sort by"
    return table


def _comparison_table(table: Table) -> RichTable:
    from rich.markup import escape
    from rich.table import Table as RichTable

    from ..hub.comparison.files import cells, headings

    # The rest is in the files: a terminal is too narrow for it.
    dropped = {*table.others, *(["interval", "runs"] if table.baseline else [])}
    kept = [place for place, heading in enumerate(headings(table)) if heading not in dropped]
    drawn = RichTable(title=escape(table.title))
    for place in kept:
        drawn.add_column(escape(headings(table)[place]), overflow="fold")
    for row in table.rows:
        drawn.add_row(*(escape(cells(table, row)[place]) for place in kept))
    return drawn


def _published_table(table: Table) -> RichTable:
    from rich.markup import escape
    from rich.table import Table as RichTable

    from ..hub.comparison.files import published_cells, published_headings

    assert table.published is not None
    drawn = RichTable(title=escape(f"Published, not measured here: {table.published.protocol}"))
    headings = [heading for heading in published_headings(table) if heading != "other source"]  # it is in the files
    for heading in headings:
        drawn.add_column(escape(heading))
    for row in table.published.rows:
        drawn.add_row(*map(escape, published_cells(table, row)[: len(headings)]))
    return drawn
