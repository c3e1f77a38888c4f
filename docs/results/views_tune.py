"""Writes docs/results/views-tune: is a strength of views chosen well without labels? From reports of `views tune`.

    python docs/results/views_tune.py --runs runs/bccd-crops runs/flowers5 --picked runs/picked-flowers5

Reports of `goodviews views tune` on photos with labels (--runs) and of benchmarks/picked_views.py (--picked) are copied
beside the page. Without them the page is made anew from the reports that are there. The figures that `views tune`
quotes are written into the package.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import cyclopts
from layout import evidence_of_sweep, folded, table
from layout import page as layout_page

from goodviews.hub.scoring.intervals import wilson
from goodviews.pretrain.tuning.criteria import CRITERIA, Record, by_labels, is_trusted, levels_of, pick, records
from goodviews.pretrain.tuning.criteria import WITHOUT_LABELS as WAYS
from goodviews.pretrain.tuning.recommendation import recommend
from goodviews.pretrain.tuning.strengths import DEFAULT, knobs

PACKAGE = Path(__file__).parents[2] / "pretrain" / "tuning"
NAMES = {"rotation": "rotation (the one of `views tune`)", "default": "always the default", "random": "at random"}
DOUBT = (
    "One short training decided each level, so the best level by labels is doubtful itself, and most levels differ by "
    "less than their intervals. So few choices do not tell the ways to choose apart, as their intervals show; they "
    "give no reason to trust the criterion more than the default."
)


def write(
    *,
    runs: list[Path] = [],  # noqa: B006
    picked: list[Path] = [],  # noqa: B006
    out: Path = Path("docs/results/views-tune"),
    package: Path = PACKAGE,
) -> None:
    """Copy reports, and write README.md and the figures that ship.

    Args:
        runs: folders that `goodviews views tune` wrote, of photos with labels.
        picked: folders that benchmarks/picked_views.py wrote.
        out: the page's folder.
        package: where criteria.json goes.
    """
    out.mkdir(parents=True, exist_ok=True)
    for prefix, folders in (("tune", runs), ("picked", picked)):
        for run in folders:
            shutil.copyfile(run / "report.json", out / f"{prefix}-{run.name.removeprefix('picked-')}.json")
    reports = read_reports(out, "tune")
    found = records(reports)
    shipped = {"sets": list(reports), "records": [vars(record) for record in found]}
    (package / CRITERIA).write_text(json.dumps(shipped, indent=2) + "\n", encoding="utf-8")
    (out / "README.md").write_text(page(reports, read_reports(out, "picked"), found), encoding="utf-8")


def read_reports(folder: Path, prefix: str) -> dict[str, dict[str, Any]]:
    """Those beside the page, by the name of their set."""
    paths = sorted(folder.glob(f"{prefix}-*.json"))
    return {path.stem.removeprefix(f"{prefix}-"): json.loads(path.read_text("utf-8")) for path in paths}


def page(reports: dict[str, dict[str, Any]], picked: dict[str, dict[str, Any]], found: list[Record]) -> str:
    """The text of README.md."""
    first = next(iter(reports.values()))
    seeds = "1 seed" if first["seeds"] == 1 else f"{first['seeds']} seeds"
    return layout_page(
        "Views for one's own photos: is a strength chosen well without labels?",
        question="Does a criterion without labels find strengths of crop, colour, blur and RandAugment that teach more "
        "than the default ones? Do other photos want other strengths?",
        setting=(
            f"`goodviews views tune` on {len(reports)} sets that have labels ({', '.join(reports)}), "
            f"{first['data']['train']} photos to learn from, {seeds}, {first['training']['steps']} steps of "
            f"{first['training']['batch_size']} photos for each of 17 levels. Each way chooses a level of each of "
            f"{len(knobs())} knobs; a linear probe with the labels says which was the best. Of levels that score alike "
            "each is the best."
        ),
        found=[
            table(
                ["way to choose", "within one step of the best", "95 % interval", "top-1 lost, points"], _rows(found)
            ),
            "Top-1 lost: how much less a linear probe scores at the chosen level than at the best one, on average.",
            "### Level by level",
            table(["set", "knob", "best by labels", "by rotation", "recommended"], _levels(reports)),
            *_picked(picked),
        ],
        answer=_answer(reports, picked, found),
        evidence=[
            folded(
                "Commands, commits and hardware",
                *(evidence_of_sweep(*one) for one in [*reports.items(), *picked.items()]),
            ),
            "Made by `docs/results/views_tune.py` from the reports beside this page; no figure is typed by hand.",
        ],
    )


def _rows(found: list[Record]) -> list[list[str]]:
    rows = []
    for record in found:
        is_counted = record.near == round(record.near)
        interval = "expected, not drawn"
        if is_counted:
            low, high = wilson(round(record.near), record.choices)
            interval = f"{100 * low:.0f} to {100 * high:.0f} %"
        near = f"{record.near:g}" if is_counted else f"{record.near:.1f}"
        rows.append([NAMES.get(record.way, record.way), f"{near} of {record.choices}", interval, f"{record.lost:.1f}"])
    return rows


def _levels(reports: dict[str, dict[str, Any]]) -> list[list[str]]:
    rows = []
    for name, report in reports.items():
        for choice in recommend(report).choices:
            usual, points = getattr(DEFAULT, choice.knob), levels_of(report, choice.knob)
            best, turned = (pick(points, usual, measure) for measure in (by_labels, WAYS["rotation"]))
            recommended = "default" if choice.recommended == usual else f"{choice.recommended:g}"
            rows.append([name, choice.knob.replace("_", " "), f"{best:g}", f"{turned:g}", f"{recommended}, {usual:g}"])
    return rows


def _picked(picked: dict[str, dict[str, Any]]) -> list[str]:
    """Trainings with the criterion's own picks beside the default, in the same budget."""
    if not picked:
        return []
    rows = [
        [name, point["name"], *(_interval(point["scores"][score], "top1") for score in ("knn class", "linear class"))]
        for name, report in picked.items()
        for point in report["points"]
    ]
    training, seeds = (next(iter(picked.values()))[key] for key in ("training", "seeds"))
    return [
        "### The criterion's picks against the default, in the same budget",
        f"What is recommended is the default, so what rotation would pick is trained instead: all four knobs at once, "
        f"{seeds} seeds, {training['steps']} steps of {training['batch_size']} photos.",
        table(["set", "views", "20 neighbours, top-1 %", "linear probe, top-1 %"], rows),
    ]


def _answer(reports: dict[str, dict[str, Any]], picked: dict[str, dict[str, Any]], found: list[Record]) -> str:
    near = {record.way: f"{record.near:.1f}".removesuffix(".0") for record in found}
    verdict = (
        "it may be trusted" if is_trusted(tuple(found)) else "so `views tune` recommends the default without labels"
    )
    changed = [name for name, report in reports.items() if not recommend(report).is_default]
    same = (
        f"All {len(reports)} kinds of photos get the same answer, the default: with labels too, no level was surely "
        "better."
        if not changed
        else f"With labels other strengths are recommended for {', '.join(changed)}, and the default for the others."
    )
    return (
        f"The criterion came within one step of the best level {near['rotation']} times of {found[0].choices}, the "
        f"default {near['default']} times, a random choice {near['random']} times on average: {verdict}. {same} "
        f"{_gains(picked)}{DOUBT}"
    )


def _gains(picked: dict[str, dict[str, Any]]) -> str:
    lines = []
    for name, report in picked.items():
        usual, other = (point["scores"]["linear class"] for point in report["points"])
        differences = [two - one for one, two in zip(usual["of_seeds"], other["of_seeds"], strict=True)]
        seeds = ", ".join(f"{difference:+.1f}" for difference in differences)
        lines.append(
            f"On {name} the criterion's picks scored {other['top1'] - usual['top1']:+.1f} points (seeds: {seeds})."
        )
    return "".join(f"{line} " for line in lines)


def _interval(value: dict[str, Any], key: str) -> str:
    return f"{value[key]:.1f} [{value['low']:.1f}, {value['high']:.1f}]"


if __name__ == "__main__":
    app = cyclopts.App(default_parameter=cyclopts.Parameter(negative=(), consume_multiple=True))
    app.default(write)
    app()
