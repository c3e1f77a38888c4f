"""Writes docs/results/learned-views: learned views against raw channels, and the control whose best split is known.

    python docs/results/learned_views.py --photos runs/learned-cifar10 --control runs/learned-control

Reports of benchmarks/learned_views.py are copied beside the page. Without them the page is made anew from the reports
that are there.
"""

import json
import math
import shutil
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import cyclopts
from layout import folded, table, wide_table
from layout import page as layout_page
from scipy import stats

LINEAR, NEIGHBOURS = "linear class", "knn class"
GROUPS = ("raw", "unsupervised", "semi-supervised", "unmixed")
NAMES = ("photos", "control")
DOUBT = (
    "The best setting of each kind is picked by the scores that are compared, which flatters the kinds with more "
    "settings. The authors' games last 100 epochs over 105,000 photos of 64 px (their code); these are far shorter "
    "and say what such a budget gives, not what the method can."
)


def write(
    *,
    photos: Path | None = None,
    control: Path | None = None,
    out: Path = Path("docs/results/learned-views"),
) -> None:
    """Copy reports and pictures, and write README.md.

    Args:
        photos: folder that `benchmarks/learned_views.py --data` wrote.
        control: folder that `benchmarks/learned_views.py --control` wrote.
        out: the page's folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name, run in zip(NAMES, (photos, control), strict=True):
        if run is not None:
            shutil.copyfile(run / "report.json", out / f"{name}.json")
            shutil.copyfile(run / "views.png", out / f"{name}.png")
    (out / "README.md").write_text(page(read_reports(out)), encoding="utf-8")


def read_reports(folder: Path) -> dict[str, dict[str, Any]]:
    """Those beside the page: of photos and of the control."""
    names = [name for name in NAMES if (folder / f"{name}.json").is_file()]
    return {name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in names}


def page(reports: dict[str, dict[str, Any]]) -> str:
    """The text of README.md."""
    photos, control = (reports[name] for name in NAMES)
    return layout_page(
        "Learned views",
        question="Do views that a generator learns teach more than the raw channels of a photo, in the same budget?",
        setting=(
            f"A generator splits a photo into one channel and two. {_size(photos)} Learned with two learning rates and "
            "two kinds of couplings, without labels and with all of them; then new encoders learn from each split "
            f"with as many steps. The control is made by code: {_size(control)} There a digit is hidden in the "
            "first and in the second of three mixed channels, so the best split is known. I_NCE is a lower bound of "
            "the nats that the two parts share, on photos that no network learned from; its ceiling is "
            f"{photos['points'][0]['information']['ceiling']:.2f}."
        ),
        found=[
            f"### {photos['data']['name']}",
            _scores(photos),
            "![Photos, raw channels and channels learned with labels](photos.png)",
            "### The control",
            _scores(control),
            "![Photos, raw channels and channels learned on the control](control.png)",
        ],
        answer=f"\n\n- {answer_of(photos)}\n- {answer_of(control)}\n\n{DOUBT}",
        evidence=[
            folded("Every seed", *(_seeds(report) for report in (photos, control))),
            folded(
                "Commands, commits and hardware",
                *(_evidence(report) for report in (photos, control)),
            ),
            "Made by `docs/results/learned_views.py` from the reports beside this page; no figure is typed by hand.",
        ],
    )


def answer_of(report: dict[str, Any]) -> str:
    """Which kind of split taught most, with the difference to the best raw one over the seeds."""
    best = best_of(report)
    parts = [f"{report['data']['name']}: the best raw split ({best['raw']['name']}) scores {_top1(best['raw']):.1f} %"]
    for group in GROUPS[1:]:
        if group in best:
            sure, difference, low, high = gain(best[group], best["raw"])
            words = "more" if sure > 0 else "less" if sure < 0 else "which seeds alone can explain"
            parts.append(f"{best[group]['name']} {difference:+.1f} points [{low:+.1f}, {high:+.1f}], {words}")
    return f"{'; '.join(parts)}. {_verdict(best)}{_fallen(report, _top1(best['raw']))}"


def _verdict(best: dict[str, Any]) -> str:
    learned = {group: best[group] for group in ("unsupervised", "semi-supervised")}
    sure = [group for group, point in learned.items() if gain(point, best["raw"])[0] > 0]
    order = gain(learned["semi-supervised"], learned["unsupervised"])[0]
    ordered = {1: "Labels help the game.", -1: "Labels hurt the game.", 0: "Labels make no sure difference."}[order]
    if not sure:
        return f"**Learned views did not win.** {ordered}"
    return f"**Learned views won: {' and '.join(sure)}.** {ordered}"


def _fallen(report: dict[str, Any], raw: float) -> str:
    """Games that took away what tells classes: seeds that score less than half of the raw channels."""
    lines = []
    for point in report["points"]:
        seeds = point["scores"][LINEAR]["of_seeds"]
        fallen = [f"{top1:.1f} %" for top1 in seeds if top1 < raw / 2]
        if fallen:
            lines.append(f" Of {point['name']}, {len(fallen)} of {len(seeds)} seeds fell to {', '.join(fallen)}.")
    return "".join(lines)


def best_of(report: dict[str, Any]) -> dict[str, Any]:
    """Of each kind of split the point that a linear probe scores highest."""
    found: dict[str, Any] = {}
    for point in report["points"]:
        group = next(group for group in GROUPS if point["name"].startswith(group))
        if group not in found or _top1(point) > _top1(found[group]):
            found[group] = point
    return found


def gain(one: dict[str, Any], other: dict[str, Any]) -> tuple[int, float, float, float]:
    """1, -1 or 0: surely better, surely worse, not sure; the mean difference of equal seeds and its 95 % interval."""
    seeds = zip(one["scores"][LINEAR]["of_seeds"], other["scores"][LINEAR]["of_seeds"], strict=True)
    differences = [first - second for first, second in seeds]
    centre = mean(differences)
    half = float(stats.t.ppf(0.975, len(differences) - 1)) * stdev(differences) / math.sqrt(len(differences))
    sign = 1 if centre - half > 0 else -1 if centre + half < 0 else 0
    return sign, centre, centre - half, centre + half


def _top1(point: dict[str, Any]) -> float:
    return float(point["scores"][LINEAR]["top1"])


def _size(report: dict[str, Any]) -> str:
    training, data = report["training"], report["data"]
    return (
        f"{data['name']}: {data['train']} photos of {data['px']} px to learn from, {data['test']} to test on, "
        f"{report['seeds']} seeds, {training['steps']} steps of {training['batch_size']} photos."
    )


def _scores(report: dict[str, Any]) -> str:
    rows = [
        [
            point["name"],
            _interval(point["information"], "nats", 2),
            *(_interval(point["scores"][score], "top1", 1) for score in (NEIGHBOURS, LINEAR)),
        ]
        for point in report["points"]
    ]
    return table(["split", "I_NCE, nats", "20 neighbours, top-1 %", "linear probe, top-1 %"], rows)


def _seeds(report: dict[str, Any]) -> str:
    rows = [
        [
            point["name"],
            ", ".join(f"{nats:.2f}" for nats in point["information"]["of_seeds"]),
            *(
                ", ".join(f"{top1:.1f}" for top1 in point["scores"][score]["of_seeds"])
                for score in (NEIGHBOURS, LINEAR)
            ),
        ]
        for point in report["points"]
    ]
    return wide_table([report["data"]["name"], "I_NCE, nats", "20 neighbours, top-1 %", "linear probe, top-1 %"], rows)


def _evidence(report: dict[str, Any]) -> str:
    evidence = report["evidence"]
    return (
        f"{report['data']['name']}: `python benchmarks/{evidence['command']}`; commit {evidence['commit']}, "
        f"{evidence['hardware']}, {report['training']['precision']}, {evidence['started'][:10]}; encoders trained for "
        f"{evidence['seconds'] / 60:.0f} minutes on the clock of a busy machine, beside the games."
    )


def _interval(value: dict[str, Any], key: str, digits: int) -> str:
    return f"{value[key]:.{digits}f} [{value['low']:.{digits}f}, {value['high']:.{digits}f}]"


if __name__ == "__main__":
    cyclopts.run(write)
