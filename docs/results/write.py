"""One page of results, made from the files of the runs: what was trained, how it went, what it scored, who says so.

    python docs/results/write.py "InfoMin on ten classes" --pretrained runs/infomin runs/moco_v2 \
        --measured runs/infomin-knn runs/random-knn --baseline random:resnet18-48px@0 --out docs/results/ten-classes

OUT/README.md        tables of the scores, of the trainings and of the evidence
OUT/scores.png       the scores with their intervals        OUT/trainings.png   online kNN and loss by epoch
OUT/trainings/NAME/  recipe.json and metrics.jsonl of each training         OUT/reports/*.json   each score's report
OUT/page.json        cells of the tables that need more than the reports: tests of differences, and the trainings
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import cyclopts
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from goodviews.hub.comparison.cells import cells, headings
from goodviews.hub.comparison.files import markdown, markdown_lines
from goodviews.hub.comparison.plot import draw
from goodviews.hub.comparison.tables import Comparison, Run, compare, read_runs
from goodviews.hub.errors import DataError
from goodviews.hub.files.atomic import new_folder, write_json, write_text

SOURCE = (
    "Written by `docs/results/write.py`. The scores are from the reports beside this page; tests of differences and "
    "trainings are from the runs' own files, and page.json holds what was read there."
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
    title: str,
    *,
    measured: list[Path],
    out: Path,
    pretrained: Sequence[Path] = (),
    baseline: str | None = None,
    remark: str = "",
) -> None:
    """Write a page of results.

    Args:
        title: The page's heading.
        measured: RUN folders of `goodviews transfer`.
        out: The folder to make; one that is there is replaced.
        pretrained: RUN folders of `goodviews pretrain`, if trainings belong on the page.
        baseline: Name of the encoder that the others are compared with.
        remark: What a reader has to know beside the numbers.
    """
    trainings, runs = [read_training(folder) for folder in pretrained], read_runs(measured)
    comparison = compare(runs, baseline=baseline)
    parts = [f"# {title}", SOURCE]
    parts += [remark] if remark else []
    parts += ["![Scores with their intervals](scores.png)", markdown(comparison)]
    parts += [_trainings(trainings), "![Online kNN and loss by epoch](trainings.png)"] if trainings else []
    parts += [_evidence(runs)]
    with new_folder(out, overwrite=True, kind="page") as folder:
        draw(comparison, folder / "scores.png")
        if trainings:
            _draw_trainings(trainings, folder / "trainings.png")
        write_text(folder / "README.md", "\n\n".join(part.strip() for part in parts) + "\n")
        write_json(folder / "page.json", beside_the_reports(comparison, baseline, trainings))
        for training in trainings:
            copy = folder / "trainings" / training.folder.name
            copy.mkdir(parents=True)
            for name in ("recipe.json", "metrics.jsonl"):
                shutil.copyfile(training.folder / name, copy / name)
        (folder / "reports").mkdir()
        for run in runs:
            shutil.copyfile(run.folder / "report.json", folder / "reports" / f"{run.folder.name}.json")


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
    for table in comparison.tables:
        if table.baseline:
            first = headings(table).index(f"against {table.baseline}")
            rows = {row.encoder: cells(table, row)[first : first + 3] for row in table.rows}
            differences[f"{table.title}, {table.engine}"] = rows
    return {"baseline": baseline, "differences": differences, "trainings": [training_cells(one) for one in trainings]}


def _trainings(trainings: list[Training]) -> str:
    lines = [TRAINING_HEADINGS, ["---"] * len(TRAINING_HEADINGS), *map(training_cells, trainings)]
    commands = "".join(f"- {training.name}: {_made_by(training)}\n" for training in trainings)
    return "## Trainings\n\n" + markdown_lines(lines) + "\n" + commands


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


def _evidence(runs: list[Run]) -> str:
    lines = [EVIDENCE_HEADINGS, ["---"] * len(EVIDENCE_HEADINGS), *(evidence_cells(run) for run in runs)]
    return "## Evidence\n\n" + markdown_lines(lines)


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
