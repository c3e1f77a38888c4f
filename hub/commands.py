"""Commands about encoder folders (what is in one, is it whole, what was measured with it), and about this machine."""

from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .errors import ArtifactError, GoodviewsError


def info(encoder: str) -> None:
    """Say what an encoder is and where it comes from.

    Args:
        encoder: a folder, torchvision:NAME, timm:NAME or random:ARCHITECTURE.
    """
    from .artifact import weights_sha256
    from .pretrained import from_pretrained

    loaded = from_pretrained(encoder)
    p, origin = loaded.preprocessing, loaded.origin
    parameters = sum(tensor.numel() for tensor in loaded.parameters())
    table = Table("", "", title=origin.name, show_header=False, title_justify="left")
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
    table.add_row("weights", f"sha256 {weights_sha256(loaded)}")
    Console(highlight=False).print(table)


def check(encoder: str) -> None:
    """Verify that an encoder folder is whole and embeds as it did when it was written.

    Args:
        encoder: the folder.
    """
    from .artifact import check as find_problems

    problems = find_problems(encoder)
    if problems:
        raise ArtifactError(f"{encoder} is not sound: " + " ".join(problems) + " Do not use it; copy it again.")
    Console(highlight=False).print(
        f"[green]{encoder} is sound:[/] every tensor is there and the test image embeds as recorded."
    )


def attach(encoder: Path, runs: list[Path], *, overwrite: bool = False) -> None:
    """Add measured results to an encoder folder and make its card anew.

    Args:
        encoder: The folder.
        runs: RUN folders of `goodviews transfer`, or report.json files, of exactly these weights.
        overwrite: Replace an attached result of the same measurement.
    """
    from .attach import attach_reports
    from .report import find_reports, load_report

    reports = [load_report(file) for run in runs for file in find_reports(run)]
    files = attach_reports(encoder, reports, overwrite=overwrite)
    console = Console(highlight=False, soft_wrap=True)
    for file, report in zip(files, reports):
        console.print(f"{file}: {report.task}, {report.primary} {report.metrics[report.primary]:.2f}", markup=False)
    console.print(f"The card shows them: {encoder / 'README.md'}", markup=False)


def doctor() -> None:
    """Say what is installed, whether it works, which tasks can run, and the command that mends each lack.

    Exits with status 1 when something that every task needs is missing or broken.
    """
    from rich.text import Text

    from .doctor.examine import examine, not_ready, ways_to_mend

    console = Console(highlight=False)
    with console.status("Asking the packages, each in a process of its own"):
        findings = examine()
    marks = {"fine": ("ok", "green"), "note": ("note", "yellow"), "missing": ("no", "red"), "broken": ("broken", "red")}
    table = Table("", "what", "found", "needed for", box=None, pad_edge=False)
    for finding in findings:
        word, colour = marks[finding.state]
        if finding.state == "missing" and not finding.breaks_the_core:
            colour = "yellow"
        table.add_row(Text(word, colour), *map(Text, (finding.subject, finding.found, finding.needed_for)))
    console.print(table)
    console.print("\n[bold]Which tasks can run[/]")
    for tasks, lacks in not_ready(findings).items():
        word, colour = ("no", "yellow") if lacks else ("ok", "green")
        console.print(Text.assemble((f"{word:3}", colour), tasks, f" (lacks {', '.join(lacks)})" if lacks else ""))
    mends = ways_to_mend(findings)
    if mends:
        console.print("\n[bold]What mends it[/]")
    for subjects, mend in mends.items():
        console.print(Text(f"{subjects}:\n  {mend}"), soft_wrap=True)
    core = [finding for finding in findings if finding.breaks_the_core]
    if core:
        raise GoodviewsError(
            f"Nothing can run before this is mended: {', '.join(finding.subject for finding in core)}."
        )
