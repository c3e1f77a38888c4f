"""The page on what adapting gains, made from what benchmarks/adapt_gain.py wrote, and from the runs that were tried.

    python docs/results/adapt.py --gains flowers5.json cifar10.json --tried trials/* --out docs/results/adapt

Without --gains the page says that nothing is measured yet, and holds the trials.

OUT/README.md   tables, and who says so        OUT/gains.json   the benchmark's files        OUT/tried.json   the trials
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cyclopts

from goodviews.hub.comparison.files import markdown_lines
from goodviews.hub.files.atomic import new_folder, write_json, write_text

NOT_YET = "The recipes' gains are not measured yet: that takes three seeds, by `benchmarks/adapt_gain.py`."
GAIN_HEADINGS = (
    "recipe",
    "photos",
    "before, %",
    "after, each seed, %",
    "gain",
    "over seeds",
    "over test photos and seeds",
    "test photos",
    "minutes of a core",
)
TRIED_HEADINGS = (
    "photos",
    "from weights",
    "learning rate",
    "warm-up, epochs",
    "epochs",
    "smallest crop",
    "colour jitter",
    "online kNN, % (epochs)",
)


def write(*, gains: Sequence[Path] = (), tried: Sequence[Path] = (), out: Path) -> None:
    """Write the page on adapting.

    Args:
        gains: What benchmarks/adapt_gain.py wrote.
        tried: RUN folders of trainings from which the recipe's settings were chosen, or an earlier page's tried.json.
        out: The folder to make; one that is there is replaced.
    """
    found = [json.loads(file.read_text()) for file in gains]
    trials = [trial for place in tried for trial in read_trials(place)]
    parts = [
        "# What adapting gains",
        "Written by `docs/results/adapt.py` from the files beside it; nothing is typed by hand.",
        gain_table(found) if found else NOT_YET,
        *([tried_table(trials)] if trials else []),
        *([evidence(found)] if found else []),
    ]
    with new_folder(out, overwrite=True, kind="page") as folder:
        write_text(folder / "README.md", "\n\n".join(part.strip() for part in parts) + "\n")
        write_json(folder / "gains.json", found)
        write_json(folder / "tried.json", trials)


def read_trials(place: Path) -> list[dict[str, Any]]:
    """Those of an earlier page, or of one RUN folder."""
    if place.is_file():
        earlier: list[dict[str, Any]] = json.loads(place.read_text())
        return earlier
    return [read_trial(place)]


def read_trial(folder: Path) -> dict[str, Any]:
    """What a RUN folder says of its recipe and of its online kNN."""
    about = json.loads((folder / "recipe.json").read_text())
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    scores = [[row["epoch"], row["knn_top1"]] for row in rows if "knn_top1" in row]
    fields = ("recipe", "parent", "seed", "precision", "hardware")
    data = {"photos": about["data"]["images"], "classes": about["data"]["classes"]}
    return {name: about[name] for name in fields} | data | {"online_knn": scores}


def gain_table(found: Sequence[dict[str, Any]]) -> str:
    """A row for each recipe and set of photos."""
    lines = [list(GAIN_HEADINGS), ["---"] * len(GAIN_HEADINGS)]
    for one in found:
        runs = one["runs"]
        minutes = sum(run["core_minutes"] for run in runs) / len(runs)
        lines.append(
            [
                f"{one['recipe']['name']}, {one['recipe']['epochs']} epochs",
                f"{one['photos']:,} of {one['data']}",
                f"{one['start']:.1f}",
                ", ".join(f"{run['top1']:.1f}" for run in runs),
                f"{one['gain']:+.1f}",
                _interval(one["over_seeds"]),
                _interval(one["over_photos_and_seeds"]),
                f"{one['test_photos']:,}",
                f"{minutes:.1f}",
            ]
        )
    about = (
        "Top-1 accuracy of the task `knn` in percent: each photo of the part that nobody learned from is looked up "
        "among the photos that were adapted to. Gains are in points, with 95 % intervals: by t over the seeds, and by "
        "the paired bootstrap, which draws test photos and seeds."
    )
    return f"{about}\n\n{markdown_lines(lines)}"


def tried_table(trials: Sequence[dict[str, Any]]) -> str:
    """What was tried before, one seed each."""
    lines = [list(TRIED_HEADINGS), ["---"] * len(TRIED_HEADINGS)]
    for one in trials:
        recipe, view = one["recipe"], one["recipe"]["views"][0]
        jitter = next((step for step in view["program"] if step["type"] == "ColorJitter"), {"brightness": 0.0})
        lines.append(
            [
                f"{one['photos']:,}: {', '.join(one['classes'][:2])}, ...",
                _weights(one["parent"]),
                f"{recipe['optimizer']['lr']:g}",
                f"{recipe['schedule'].get('warmup_epochs', 0)}",
                f"{recipe['epochs']}",
                f"{view['crop']['scale'][0]:g}",
                f"{jitter['brightness']:g}",
                ", ".join(f"{score:.1f} after {epoch:g}" for epoch, score in one["online_knn"]),
            ]
        )
    return (
        "## What was tried\n\nMoCo v2 in batches of 64 while the recipe was made, one seed each, from goodviews:mini "
        "at several stages of its own training. Online kNN is a gauge that looks at photos of the network's own size; "
        "its scores are those of the start and of some epochs after. Where they end before the last epoch, the run was "
        "stopped.\n\n"
        f"{markdown_lines(lines)}"
    )


def evidence(found: Sequence[dict[str, Any]]) -> str:
    """Who says so."""
    lines = []
    for one in found:
        about = one["evidence"]
        libraries = ", ".join(f"{name} {about['libraries'][name]}" for name in ("torch", "torchvision", "timm"))
        seeds = ", ".join(str(run["seed"]) for run in one["runs"])
        lines.append(
            f"- {one['recipe']['name']} on {one['data']}: from {one['encoder']['parent']}; seeds {seeds}; "
            f"`{about['command']}` on {about['hardware']}; commit {about['commit']}, {about['precision']}, {libraries}"
        )
    return "## Evidence\n\n" + "\n".join(lines)


def _weights(parent: str | None) -> str:
    """The first digits of the SHA-256 in "NAME (weights SHA)"."""
    return (parent or "").rpartition("weights ")[2][:8]


def _interval(ends: Sequence[float] | None) -> str:
    return "one seed" if ends is None else f"[{ends[0]:+.1f}, {ends[1]:+.1f}]"


if __name__ == "__main__":
    app = cyclopts.App(default_parameter=cyclopts.Parameter(negative=(), consume_multiple=True))
    app.default(write)
    app()
