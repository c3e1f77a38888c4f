"""The commands `hub info`, `hub check` and `hub attach` about encoder folders, and `doctor` about this machine."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from .errors import ArtifactError, GoodviewsError
from .output.terminal import Terminal

if TYPE_CHECKING:
    from .doctor.finding import Finding


def info(encoder: str) -> None:
    """Say what an encoder is and where it comes from.

    Example: goodviews hub info random:resnet18

    Args:
        encoder: An encoder folder, goodviews:mini, OWNER/NAME@REVISION of a Hub, a name of `goodviews hub list`,
            torchvision:NAME, timm:NAME or random:ARCHITECTURE.
    """
    from .pretrained import from_pretrained

    loaded = from_pretrained(encoder)
    p, origin = loaded.preprocessing, loaded.origin
    parameters = sum(tensor.numel() for tensor in loaded.parameters())
    table = Table("", "", title=escape(origin.name), show_header=False, title_justify="left")
    table.columns[1].overflow = "fold"
    table.add_row(
        "architecture", f"{loaded.architecture}, {loaded.num_features} features, {parameters / 1e6:.1f} M parameters"
    )
    table.add_row(
        "input", f"{p.input_px} px of {int(p.input_px / p.crop_pct)} px, {p.interpolation}, mean {p.mean}, std {p.std}"
    )
    for name, value in asdict(origin).items():
        if value and name not in {"name", "recipe"}:
            table.add_row(name, str(value))
    if origin.recipe:
        table.add_row("recipe", str(origin.recipe.get("name")))
    table.add_row("weights", f"sha256 {loaded.report_id().weights_sha256}")
    Terminal(highlight=False).print(table)


def check(encoder: str) -> None:
    """Verify that an encoder folder is whole and embeds as it did when it was written.

    Exits with status 1 and names every problem where it does not.

    Example: goodviews hub check runs/mine/encoder

    Args:
        encoder: The encoder folder.
    """
    from .artifact import check as find_problems

    problems = find_problems(encoder)
    if problems:
        raise ArtifactError(f"{encoder} is not sound: " + " ".join(problems) + " Do not use it; copy it again.")
    Terminal(highlight=False).print(
        f"[green]{escape(encoder)} is sound:[/] every tensor is there, and the test image embeds as recorded."
    )


def halve(encoder: str, *, out: Path, overwrite: bool = False) -> None:
    """Write an encoder folder whose weights are in half precision: half the file, computed with in float32.

    Reports and other attachments stay behind: they are about the weights as they were.

    Example: goodviews hub halve runs/mine/encoder --out half

    Args:
        encoder: An encoder folder, or another name that `goodviews hub info` knows.
        out: The folder to write.
        overwrite: Replace an encoder folder that exists.
    """
    from .artifact import save
    from .fingerprint import fingerprint, fingerprint_distance
    from .half_precision import halve as to_half
    from .pretrained import from_pretrained

    loaded = from_pretrained(encoder)
    half = to_half(loaded)
    distance = fingerprint_distance(fingerprint(loaded), fingerprint(half))
    folder = save(half, out, overwrite=overwrite)
    size = (folder / "model.safetensors").stat().st_size
    Terminal(highlight=False, soft_wrap=True).print(
        f"{folder}: {size / 1e6:.1f} MB of weights; the test image embeds {distance:.2g} away from before (Euclidean).",
        markup=False,
    )


def attach(encoder: Path, runs: list[Path], *, benchmark: str | None = None, overwrite: bool = False) -> None:
    """Add measured results to an encoder folder and write its card again.

    Example: goodviews hub attach runs/mine/encoder runs/knn runs/linear

    Args:
        encoder: The encoder folder.
        runs: RUN folders of `goodviews transfer`, or report.json files, measured with exactly these weights.
        benchmark: Data set of the Hub that the runs measured, DATASET_ID or DATASET_ID:TASK_ID; its results then stand
            in .eval_results too (default: none).
        overwrite: Replace an attached result of the same measurement.
    """
    from .attach import attach_reports
    from .reports.report import find_reports, load_report
    from .reports.results import with_benchmark

    reports = [load_report(file) for run in runs for file in find_reports(run)]
    reports = [with_benchmark(report, benchmark) for report in reports] if benchmark else reports
    files = attach_reports(encoder, reports, overwrite=overwrite)
    console = Terminal(highlight=False, soft_wrap=True)
    for file, report in zip(files, reports):
        console.print(f"{file}: {report.task}, {report.primary} {report.metrics[report.primary]:.2f}", markup=False)
    console.print(f"The card shows them: {encoder / 'README.md'}", markup=False)


def doctor() -> None:
    """Say what is installed, whether it works, which tasks can run, and how to fix the rest.

    Exits with status 1 where something that every task needs is missing or broken.

    Example: goodviews doctor
    """
    from .doctor.examine import examine, fixes, what_tasks_lack

    console = Terminal(highlight=False)
    with console.status("Trying the packages, each in a process of its own"):
        findings = examine()
    console.print(_table_of(findings))
    console.print("\n[bold]Which tasks can run[/]")
    for tasks, lacks in what_tasks_lack(findings).items():
        word, colour = ("no", "yellow") if lacks else ("ok", "green")
        console.print(Text.assemble((f"{word:3}", colour), tasks, f" (lacks {', '.join(lacks)})" if lacks else ""))
    commands = fixes(findings)
    if commands:
        console.print("\n[bold]How to fix it[/]")
    for subjects, command in commands.items():
        console.print(Text(f"{subjects}:\n  {command}"), soft_wrap=True)
    core = [finding.subject for finding in findings if finding.breaks_the_core]
    if core:
        raise GoodviewsError(f"Nothing can run before this is fixed: {', '.join(core)}.")


def _table_of(findings: "Sequence[Finding]") -> Table:
    marks = {"fine": ("ok", "green"), "note": ("note", "yellow"), "missing": ("no", "red"), "broken": ("broken", "red")}
    table = Table("", "what", "found", "needed for", box=None, pad_edge=False)
    for finding in findings:
        word, colour = marks[finding.state]
        if finding.state == "missing" and not finding.breaks_the_core:
            colour = "yellow"
        table.add_row(Text(word, colour), *map(Text, (finding.subject, finding.found, finding.needed_for)))
    return table
