"""One page of results, made from the files of the runs: what was asked, what it scored, how far to believe it.

    python docs/results/write.py "InfoMin on ten classes" --pretrained runs/infomin runs/moco_v2 \
        --measured runs/infomin-knn runs/random-knn --baseline random:resnet18-48px@0 --out docs/results/ten-classes \
        --question "What does InfoMin learn?" --setting "5,000 photos." --answer "[[knn | infomin]] % are right."

[[TABLE | ENCODER]] in the answer becomes the score of that encoder in the first table whose title begins with TABLE,
[[TABLE | ENCODER | difference]] its difference to the baseline. Words that are not given stay as they are in
page.json. Without --measured the page is made again from what lies in OUT.

OUT/README.md        the page
OUT/scores.png       the scores with their intervals        OUT/trainings.png   online kNN and loss by epoch
OUT/trainings/NAME/  recipe.json and metrics.jsonl of each training         OUT/reports/*.json   each score's report
OUT/page.json        the page's words, and what the reports do not hold: tests of differences, notes, the trainings
"""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import cyclopts
from layout import folded, table, wide_table
from layout import page as layout_page
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from goodviews.hub.comparison.cells import (
    about_controls,
    about_intervals,
    cells,
    control_cells,
    describe_data,
    headings,
)
from goodviews.hub.comparison.plot import draw
from goodviews.hub.comparison.tables import Comparison, Run, Table, compare, read_runs
from goodviews.hub.errors import DataError, UsageError
from goodviews.hub.files.atomic import new_folder, write_json, write_text

WORDS = ("title", "question", "setting", "answer")
SOURCE = (
    "Made by `docs/results/write.py` from the reports beside this page and from page.json, which holds what was read "
    "from the runs' own files: tests of differences, and the trainings."
)
TRAINING_HEADINGS = (
    "recipe",
    "network",
    "images",
    "epochs",
    "seed",
    "online kNN, first to last, %",
    "last loss",
    "hours",
)
EVIDENCE_HEADINGS = ("task", "encoder", "seed", "commit", "started", "seconds", "hardware", "command")
COLOURS = ("#1f6f8b", "#c8553d", "#7a9e4b", "#8e5ea2", "#c9a227", "#4a4e69", "#e07a9b", "#2a9d8f")


@dataclass(frozen=True)
class Training:
    """What a RUN folder of pretraining says of itself."""

    folder: Path
    about: dict[str, Any]  # recipe.json
    rows: list[dict[str, Any]]  # metrics.jsonl

    @property
    def name(self) -> str:
        return str(self.about["recipe"]["name"])

    @property
    def knn(self) -> list[tuple[float, float]]:
        """(epoch, online kNN top-1 in percent)."""
        return [(row["epoch"], row["knn_top1"]) for row in self.rows if "knn_top1" in row]

    @property
    def losses(self) -> list[tuple[float, float]]:
        """(epoch, loss)."""
        return [(row["epoch"], row["loss"]) for row in self.rows if "loss" in row]


def write(
    title: str | None = None,
    *,
    measured: Sequence[Path] = (),
    out: Path,
    pretrained: Sequence[Path] = (),
    baseline: str | None = None,
    question: str | None = None,
    setting: str | None = None,
    answer: str | None = None,
) -> None:
    """Write a page of results.

    Args:
        title: The page's heading.
        measured: RUN folders of `goodviews transfer`; without them the page is made again from what lies in OUT.
        out: The folder to make; one that is there is replaced.
        pretrained: RUN folders of `goodviews pretrain`, if trainings belong on the page.
        baseline: Name of the encoder that the others are compared with.
        question: What the page asks.
        setting: What was run, on what, how long.
        answer: What the numbers say and what they leave in doubt.
    """
    earlier = json.loads((out / "page.json").read_text()) if (out / "page.json").is_file() else {}
    given = {"title": title, "question": question, "setting": setting, "answer": answer}
    words = {name: given[name] or earlier.get(name) for name in WORDS}
    if missing := [name for name in WORDS if not words[name]]:
        raise UsageError(f"{out} has no {' and no '.join(missing)} yet; give --{' and --'.join(missing)}.")
    if not measured:
        write_json(out / "page.json", earlier | words)
        write_text(out / "README.md", text(out))
        return
    trainings, runs = [read_training(folder) for folder in pretrained], read_runs(measured)
    comparison = compare(runs, baseline=baseline)
    with new_folder(out, overwrite=True, kind="page") as folder:
        draw(comparison, folder / "scores.png")
        if trainings:
            _draw_trainings(trainings, folder / "trainings.png")
        write_json(folder / "page.json", words | beside_the_reports(comparison, baseline, trainings))
        for training in trainings:
            copy = folder / "trainings" / training.folder.name
            copy.mkdir(parents=True)
            for name in ("recipe.json", "metrics.jsonl"):
                shutil.copyfile(training.folder / name, copy / name)
        (folder / "reports").mkdir()
        for run in runs:
            shutil.copyfile(run.folder / "report.json", folder / "reports" / f"{run.folder.name}.json")
        write_text(folder / "README.md", text(folder))


def text(folder: Path) -> str:
    """The text of README.md, from page.json and the reports in the page's folder."""
    beside = json.loads((folder / "page.json").read_text())
    runs = read_runs(sorted((folder / "reports").glob("*.json")))
    evidence = wide_table(EVIDENCE_HEADINGS, [evidence_cells(run) for run in runs])
    tables = recorded_tables(runs, beside)
    found = ["![Scores with their intervals](scores.png)", *map(_short, tables), _how_to_read(tables)]
    trainings = ["![Online kNN and loss by epoch](trainings.png)"] if beside["trainings"] else []
    whole = [*map(_whole, tables), "".join(f"- {note}\n" for note in beside["notes"])]
    return layout_page(
        beside["title"],
        question=beside["question"],
        setting=beside["setting"],
        found=found + trainings,
        answer=_filled(beside["answer"], tables),
        evidence=[
            folded("All scores, and the data", *(part for part in whole if part)),
            *([folded("The trainings and their commands", _trainings(beside))] if trainings else []),
            folded("Commands, commits and hardware of each score", evidence),
            SOURCE,
        ],
    )


@dataclass(frozen=True)
class PageTable:
    """A table of the reports, its cells with the tests of differences that page.json records."""

    table: Table
    rows: list[list[str]]

    @property
    def name(self) -> str:
        """The title without changed settings."""
        return re.sub(r" \[.*\]", "", self.table.title)

    @property
    def lines(self) -> list[list[str]]:
        """The rows, and those of the controls below them."""
        return [*self.rows, *(control_cells(self.table, control) for control in self.table.controls)]

    def column(self, heading: str) -> int:
        return headings(self.table).index(heading)


def recorded_tables(runs: Sequence[Run], beside: dict[str, Any]) -> list[PageTable]:
    """The tables of the reports; differences need what each run did on each photo, so these cells are page.json's."""
    tables = []
    for one in compare(runs, baseline=beside["baseline"]).tables:
        rows = [cells(one, row) for row in one.rows]
        if one.baseline:
            first = headings(one).index(f"against {one.baseline}")
            recorded = beside["differences"][f"{one.title}, {one.engine}"]
            rows = [[*row[:first], *recorded[row[0]], *row[first + 3 :]] for row in rows]
        tables.append(PageTable(one, rows))
    return tables


def _short(one: PageTable) -> str:
    """Encoder, score, difference, p, runs: what a reader wants first."""
    settings = re.search(r" \[(.*)\]", one.table.title)
    names = ["encoder", one.table.metric, "runs"]
    if one.table.baseline:
        names[2:2] = [f"against {one.table.baseline}", "p"]
    places = [one.column(name) for name in names]
    above = f"### {one.name}\n\n" + (f"With {settings[1]}.\n\n" if settings else "")
    return above + table(names, [[line[place] for place in places] for line in one.lines])


def _how_to_read(tables: Sequence[PageTable]) -> str:
    intervals = sorted({row[one.column("interval")] for one in tables for row in one.rows} - {""})
    tests = sorted({row[one.column("test")] for one in tables if one.table.baseline for row in one.rows} - {"", "none"})
    sentences = [f"Brackets: {'; '.join(intervals)}." if intervals else "", f"p: {'; '.join(tests)}." if tests else ""]
    more = {sentence for one in tables for sentence in (about_controls(one.table), about_intervals(one.table))}
    sentences += sorted(x for x in more if not any(y != x and y.startswith(x) for y in more))  # the longer says it too
    return " ".join(sentence for sentence in sentences if sentence)


def _whole(one: PageTable) -> str:
    return f"**{one.table.title}**\n\n{describe_data(one.table)}\n\n{wide_table(headings(one.table), one.lines)}"


def _filled(answer: str, tables: Sequence[PageTable]) -> str:
    """The answer with its [[TABLE | ENCODER]] replaced by scores."""

    def score(match: re.Match[str]) -> str:
        title, encoder, *what = (part.strip() for part in match[1].split("|"))
        one = next((one for one in tables if one.table.title.startswith(title)), None)
        row = next((row for row in one.rows if row[0] == encoder), None) if one else None
        if one is None or row is None:
            raise DataError(f"The answer names [[{match[1]}]], but no such score is in the reports.")
        return row[one.column(f"against {one.table.baseline}" if what else one.table.metric)]

    return re.sub(r"\[\[([^\]]*)\]\]", score, answer)


def read_training(folder: Path) -> Training:
    """The record of a RUN folder.

    Raises:
        DataError: it is none, or has not been measured yet.
    """
    try:
        about = json.loads((folder / "recipe.json").read_text())
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    except (OSError, json.JSONDecodeError) as error:
        raise DataError(f"{folder} is no RUN folder of goodviews pretrain ({error}).") from None
    if not any("loss" in row for row in rows):
        raise DataError(f"{folder} has no line of losses yet; let the run go on first.")
    return Training(folder, about, rows)


def beside_the_reports(comparison: Comparison, baseline: str | None, trainings: Sequence[Training]) -> dict[str, Any]:
    """For page.json: what the reports alone do not give, as the page's cells."""
    differences: dict[str, dict[str, list[str]]] = {}
    for one in comparison.tables:
        if one.baseline:
            first = headings(one).index(f"against {one.baseline}")
            rows = {row.encoder: cells(one, row)[first : first + 3] for row in one.rows}
            differences[f"{one.title}, {one.engine}"] = rows
    return {
        "baseline": baseline,
        "differences": differences,
        "notes": comparison.notes,
        "trainings": [training_cells(one) for one in trainings],
        "commands": [f"{one.name}: {_made_by(one)}" for one in trainings],
    }


def _trainings(beside: dict[str, Any]) -> str:
    commands = "".join(f"- {command}\n" for command in beside["commands"])
    return wide_table(TRAINING_HEADINGS, beside["trainings"]) + "\n" + commands


def training_cells(training: Training) -> list[str]:
    """A row of the table of trainings."""
    recipe, last = training.about["recipe"], [row for row in training.rows if "loss" in row][-1]
    knn = f"{training.knn[0][1]:.1f} to {training.knn[-1][1]:.1f}" if training.knn else "not measured"
    network = recipe["architecture"] + (f" x {recipe['width']:g}" if recipe.get("width", 1) != 1 else "")
    facts = (training.name, network, training.about["data"]["images"], f"{last['epoch']:g}", training.about["seed"])
    return [*map(str, facts), knn, f"{last['loss']:.3f}", f"{last['time_s'] / 3600:.2f}"]


def _made_by(training: Training) -> str:
    about = training.about
    if "command" in about:
        given = f"`{about['command']}` on {about['hardware']}"
    else:  # a run of before it was recorded
        given = f"recipe, data and seed from recipe.json: `goodviews pretrain {training.name} --seed {about['seed']}`"
    libraries = ", ".join(f"{name} {about['libraries'][name]}" for name in ("torch", "torchvision", "timm"))
    return f"{given}; commit {about['commit']}, {about['precision']}, {libraries}"


def evidence_cells(run: Run) -> list[str]:
    """A row of the table of evidence."""
    report, evidence = run.report, run.report.evidence
    facts = (report.task, report.encoder.name, report.seed, evidence.commit, evidence.started)
    trained = report.details.get("trained_by")  # of a detector that was only scored here
    before = f"; trained by `{trained['command']}`, commit {trained['commit']}" if trained else ""
    return [*map(str, facts), f"{evidence.seconds:.0f}", evidence.hardware, f"`{evidence.command}`{before}"]


def _draw_trainings(trainings: list[Training], path: Path) -> None:
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for training, colour in zip(trainings, cycle(COLOURS)):
        for axes, points in ((left, training.knn), (right, training.losses)):
            axes.plot(*zip(*points), color=colour, label=training.name, linewidth=1.8)
    _dress(left, "online kNN, top-1 %")
    last = [training.losses[-1][1] for training in trainings]
    if min(last) > 0 and max(last) > 10 * min(last):
        right.set_yscale("log")  # sums of many terms beside single ones
    _dress(right, "loss, nats; of one recipe only to be compared with itself")
    left.legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)


def _dress(axes: Axes, label: str) -> None:
    axes.set_xlabel("epoch")
    axes.set_title(label, loc="left", fontsize=11)
    axes.grid(axis="y", color="#dadce0", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    app = cyclopts.App(default_parameter=cyclopts.Parameter(negative=(), consume_multiple=True))
    app.default(write)
    app()
