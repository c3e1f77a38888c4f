"""The commands `transfer` and `compare`; everything they do is in the library. `tasks` is in listing.py."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..hub.errors import UsageError
from .processes.environment import is_used, processes_of_run
from .registry import find_task
from .task import Setup, Task

if TYPE_CHECKING:
    from ..hub.deep_pixels import Values

_USUAL = Setup()
_GO_WITH_BATCH = {"batch_size", "lr", "layer_lr", "iterations", "lr_steps", "warmup_iterations"}


def transfer(
    task: str,
    *,
    encoder: str | None = None,
    detector: Path | None = None,
    data: Path | None = None,
    out: Path | None = None,
    check: bool = False,
    draw: Path | None = None,
    values: str | None = None,
    device: str = "auto",
    setup: Annotated[Setup, Parameter(name="*")] = _USUAL,
    set: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Measure how an encoder transfers: fine-tune what the task says, score it, write OUT/report.json.

    Several processes: torchrun --nproc-per-node 8 -m goodviews.transfer linear-moco --encoder E --data DIR --out RUN

    Example: goodviews transfer knn --encoder runs/mine/encoder --data DIR --out runs/knn

    Args:
        task: What to measure; `goodviews tasks` lists the names.
        encoder: A folder or a name that `goodviews hub info` knows, such as random:resnet18 for an untrained network
            to compare with; for tasks that train nothing below the features also what `goodviews export` wrote.
        detector: Instead of --encoder, the folder of a finished detection run: its detector is scored on the test
            photos of --data, and nothing is trained.
        data: The data, laid out as `goodviews tasks` says for the task; your own in that layout will do. Detection
            looks where DETECTRON2_DATASETS points if none is given.
        out: The folder to make.
        check: Train nothing; list what the data hold, what is doubtful and what is wrong. Needs no --encoder, no --out.
        draw: With --check: draw a few labelled photos into this .png or .jpg, to see whether the labels fit.
        values: Of photos of more than 8 bits (X-rays, 16-bit and floating-point TIFF), LOW..HIGH: the values of black
            and of white, as in 0..4095; by default those of the encoder.
        device: What computes: auto is the GPU if there is one; else cpu, cuda, cuda:1, ...
        set: Settings of the task to change, e.g. --set epochs=3 schedule.factor=0.1. They become part of the task's
            name, and the report shares no column with reports of the task itself.
        overwrite: Replace OUT, or the picture of --draw, if it exists.
    """
    work = partial(_transfer, task, encoder, detector, data, out, check, draw, values, device, setup, set, overwrite)
    if not is_used():
        work()
        return
    from .processes.torchrun import do_in_first

    do_in_first(work)


def _transfer(
    task: str,
    encoder: str | None,
    detector: Path | None,
    data: Path | None,
    out: Path | None,
    check: bool,
    draw: Path | None,
    values: str | None,
    device: str,
    setup: Setup,
    changes: Sequence[str],
    overwrite: bool,
) -> None:
    """As `transfer`, in the first process."""
    from ..hub.deep_pixels import parse_values
    from ..hub.files.overwrite import refuse_folder
    from ..hub.output.terminal import Terminal
    from ..hub.photo_encoder import open_on, usable_device
    from .printed_result import print_result
    from .resume import finished_report, with_state_folder

    resolved = find_task(task).with_changes(changes)
    _refuse_batch_twice(resolved, changes, setup)
    data = data or _usual_data(task, resolved)
    declared = None if values is None else parse_values(values)
    if draw is not None and not check:
        raise UsageError("--draw draws the labels that --check reads; give both, or leave it out.")
    processes_of_run(setup.processes)  # refuses what torchrun did not start, before anything is read
    if check:
        of_encoder = open_on(encoder, device).preprocessing.values if encoder is not None and not values else None
        _check_data(resolved, data, draw, declared or of_encoder, overwrite)
        return
    if detector is not None and (encoder is not None or changes or setup.resume or values):
        raise UsageError("--detector is scored as it was trained; leave out --encoder, --set, --resume and --values.")
    if (encoder is None and detector is None) or out is None:
        given = (("--encoder", encoder or detector), ("--out", out))
        missing = " and ".join(name for name, value in given if value is None)
        raise UsageError(f"{missing} must be given: the encoder to measure, and the folder to make.")
    setup = replace(with_state_folder(setup, out, overwrite=overwrite), progress=True)
    console, opened = Terminal(), None
    if setup.resume == "auto" and out.exists() and encoder is not None:
        opened = open_on(encoder, device)
        opened.declare_values(declared)
        finished = finished_report(out, resolved, opened, setup)
        if finished is not None:
            print_result(console, finished)
            console.print(f"Measured before: {out}", highlight=False, markup=False, soft_wrap=True)
            return
    refuse_folder(out, overwrite, kind="result", inputs=(data, encoder, detector, setup.cache))
    if detector is not None:
        from .detection.finished_run import score_run

        place = usable_device(device)
        report = score_run(resolved, detector, data, out, device=place, setup=setup, overwrite=overwrite)
    else:
        opened = opened or open_on(str(encoder), device)
        opened.declare_values(declared)
        report = resolved.run(opened, data, out, setup=setup, overwrite=overwrite)
    print_result(console, report)
    if report.dataset.get("skipped_images"):
        console.print(
            f"{report.dataset['skipped_images']} images could not be read; {out / 'skipped.txt'} lists them.",
            markup=False,
        )
    console.print(f"Results: {out}", highlight=False, markup=False, soft_wrap=True)


def _refuse_batch_twice(task: Task, changes: Sequence[str], setup: Setup) -> None:
    """--batch-size takes rates and counts of iterations along: it would undo what --set says of them."""
    takes_along = isinstance(getattr(task.measure, "lr", None), float)  # elsewhere it cuts photos that are encoded
    undone = [field for field in (change.partition("=")[0] for change in changes) if field in _GO_WITH_BATCH]
    if setup.batch_size is not None and takes_along and undone:
        raise UsageError(
            f"--batch-size changes {undone[0]} in proportion, which --set gives too; leave one of them out. "
            "--set batch_size=N changes the batch alone."
        )


def _usual_data(name: str, task: Task) -> Path:
    """Where the data are when none are given."""
    variable = task.data_variable
    if variable and os.environ.get(variable):
        return Path(os.environ[variable])
    hint = f", or set {variable} to the folder that holds VOC2007 or coco" if variable else ""
    raise UsageError(f"{name} needs --data, laid out as {task.layout}{hint}.")


def _check_data(task: Task, data: Path, draw: Path | None, values: Values | None, overwrite: bool) -> None:
    from ..hub.output.pictures import check_picture_name
    from ..hub.output.terminal import Terminal
    from .printed_check import print_check

    console = Terminal()
    if draw is not None:
        check_picture_name(draw, overwrite, inputs=(data,))
        task.draw_labels(data, draw, values=values, overwrite=overwrite)
        console.print(f"Picture: {draw}", highlight=False, markup=False, soft_wrap=True)
    print_check(console, data, task.check(task.measure, data, values))


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

    Example: goodviews compare runs/ours runs/random --out runs/comparison --baseline random:resnet18-32px

    Args:
        runs: RUN folders of `goodviews transfer`, report.json files, or encoder folders with reports/.
        out: The folder to make: comparison.html, .md, .csv, .json and plot.png.
        baseline: Name of an encoder. The tables then give every other encoder's difference to it, with an interval in
            the metric's unit and a p value.
        published: Show beside each table what others published by the same protocol on the same data.
        attach: Encoder folders. Reports of their weights are put into them, and their cards are written again.
        overwrite: Replace OUT if it exists, and attached results of the same measurement.
    """
    from ..hub.attach import attach_reports, reports_of
    from ..hub.comparison import files as comparison_files
    from ..hub.comparison.tables import compare as compare_runs
    from ..hub.comparison.tables import read_runs
    from ..hub.comparison.terminal import comparison_table, published_table
    from ..hub.files.overwrite import refuse_folder
    from ..hub.output.terminal import Terminal

    places = [*runs, *(attach or [])]
    refuse_folder(out, overwrite, kind="comparison", inputs=places)
    inputs = read_runs(runs)
    comparison = compare_runs(inputs, baseline=baseline, published=published)
    of_folder = {folder: reports_of(folder, [run.report for run in inputs]) for folder in attach or []}
    copies = [file for folder, some in of_folder.items() for file in attach_reports(folder, some, overwrite=overwrite)]
    comparison_files.write(comparison, out, overwrite=overwrite, inputs=places)
    console = Terminal()
    for table in comparison.tables:
        console.print(comparison_table(table))
        if table.published:
            console.print(published_table(table))
    for note in comparison.notes:
        console.print(f"Note: {note}", highlight=False, markup=False)
    for file in copies:
        console.print(f"Attached: {file}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"Results: {out}; open {out / 'comparison.html'}", highlight=False, markup=False, soft_wrap=True)
