"""Writes docs/results/views-lab: the sweeps of `goodviews views sweep` and `learn`, from the report.json of each run.

    python docs/results/views_lab.py --runs runs/ladder-cifar10 runs/toy --out docs/results/views-lab

Every number, sentence and picture comes from the reports, which are copied beside the page. Without --runs the page is
made anew from the reports that are there.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import cyclopts
from layout import MOST_COLUMNS, evidence_of_sweep, folded, table, wide_table
from layout import page as layout_page

from goodviews.pretrain.analysis.sweep_picture import draw

SETTING = (
    "Small networks, trained from scratch and for a short time on each kind of view, then scored. I_NCE is a lower "
    "bound of the nats that the views share, on photos that no network learned from; top-1 is that of a linear probe "
    "and of 20 neighbours on whole photos. Brackets are 95 % intervals over test photos and seeds. Compare the points "
    "of a sweep with each other and with nothing else."
)
DOUBT = (
    "An inverse U is said to show only if 95 % of the resamples of points and seeds have a maximum between the "
    "outermost points; with one seed they know nothing of how much seeds differ. The papers found it with longer "
    "trainings of larger networks."
)


def write(*, runs: list[Path] = [], out: Path = Path("docs/results/views-lab")) -> None:  # noqa: B006
    """Copy the reports of RUNS, draw them, and write the page of all that are there.

    Args:
        runs: folders that `goodviews views sweep` or `learn` wrote.
        out: the page's folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    for run in runs:
        shutil.copyfile(run / "report.json", out / f"{run.name}.json")
        if (run / "views.png").is_file():
            shutil.copyfile(run / "views.png", out / f"{run.name}-views.png")
    reports = read_reports(out)
    for name, report in reports.items():
        draw(report, out / f"{name}.png")
    (out / "README.md").write_text(page(reports, out), encoding="utf-8")


def read_reports(folder: Path) -> dict[str, dict[str, Any]]:
    """Those beside the page, by name."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}


def page(reports: dict[str, dict[str, Any]], folder: Path) -> str:
    """The text of README.md."""
    curves = [(name, score, curve) for name, report in reports.items() for score, curve in report["curves"].items()]
    sentences = [f"- {name}, {score}: {_doubt(reports[name])}{curve['sentence']}" for name, score, curve in curves]
    return layout_page(
        "The views lab",
        question="How much should two views share? Is there a best amount, between too much and too little?",
        setting=SETTING,
        found=[_section(name, report, folder) for name, report in reports.items()],
        answer=f"{_count(curves)}\n\n" + "\n".join(sentences) + f"\n\n{DOUBT}" if sentences else DOUBT,
        evidence=[
            folded("Commands, commits and hardware", *(evidence_of_sweep(*one) for one in reports.items())),
            "Made by `docs/results/views_lab.py` from the reports beside this page; no figure is typed by hand.",
        ],
    )


def _count(curves: list[tuple[str, str, dict[str, Any]]]) -> str:
    """In how many curves it shows."""
    shows, none = (
        sum(curve["sentence"].startswith(words) for *_, curve in curves)
        for words in ("An inverse U shows", "No inverse U shows")
    )
    return (
        f"Of {len(curves)} curves an inverse U shows in {shows}, is possible but not sure in "
        f"{len(curves) - shows - none}, and does not show in {none}. With so many curves one or two could seem sure by "
        "chance."
    )


def _doubt(report: dict[str, Any]) -> str:
    return "Not sure, for there is one seed; of the points alone: " if report["seeds"] == 1 else ""


def _section(name: str, report: dict[str, Any], folder: Path) -> str:
    training, data = report["training"], report["data"]
    ceiling = report["points"][0]["information"]["ceiling"]
    seeds = "1 seed" if report["seeds"] == 1 else f"{report['seeds']} seeds"
    names = list(report["points"][0]["scores"])
    rows = [
        [
            point["name"],
            _interval(point["information"], "nats", 2),
            *(_interval(point["scores"][score], "top1", 1) for score in names),
        ]
        for point in report["points"]
    ]
    headings = ["point", "I_NCE, nats", *(f"{score}, top-1 %" for score in names)]
    views = f"\n![views]({name}-views.png)\n" if (folder / f"{name}-views.png").is_file() else ""
    return (
        f"### {name}: {report['sweep']}\n\n{report['question']} {data['train']} photos to learn from, "
        f"{data['test']} to test on, photos of {data['px']} px; {seeds}, {training['steps']} steps of "
        f"{training['batch_size']} photos; ceiling of I_NCE {ceiling:.2f} nats.\n\n"
        f"![{name}]({name}.png)\n{views}\n"
        f"{_scores(headings, rows)}"
    )


def _scores(headings: list[str], rows: list[list[str]]) -> str:
    if len(headings) <= MOST_COLUMNS:
        return table(headings, rows)
    return folded("All scores", wide_table(headings, rows))


def _interval(value: dict[str, Any], key: str, digits: int) -> str:
    return f"{value[key]:.{digits}f} [{value['low']:.{digits}f}, {value['high']:.{digits}f}]"


if __name__ == "__main__":
    app = cyclopts.App(default_parameter=cyclopts.Parameter(negative=(), consume_multiple=True))
    app.default(write)
    app()
