"""The page on what adapting gains, made from what benchmarks/adapt_gain.py wrote, and from the runs that were tried.

    python docs/results/adapt.py --gains flowers5.json cifar10.json --tried runs/* --out docs/results/adapt

Without --gains the page says that nothing is measured yet, and holds the trials.

OUT/README.md   tables, and who says so        OUT/gains.json    the benchmark's files
OUT/tried.json  runs that were tried           OUT/others.json   the benchmark's files of recipes that were tried
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cyclopts
from layout import folded, page, table, wide_table

from goodviews.hub.files.atomic import new_folder, write_json, write_text

NOT_YET = "The recipes' gains are not measured yet: that takes three seeds, by `benchmarks/adapt_gain.py`."
CHOSEN = (
    " The recipes' settings were chosen by these same test photos, among those that are folded away below, which makes "
    "them look better than they are. None has MoCo's EMA copy or queue: on flowers no trial with them gained more than "
    "its test photos may explain."
)
OWN = (
    "BatchKeys and Detached are objectives of a trial's own file: queries against the EMA copy's keys of the same "
    "batch, and NtXent with no gradient through what an embedding is compared with."
)
GAIN_HEADINGS = ("photos", "before, %", "after, each seed, %", "gain", "over seeds", "over test photos and seeds")
RUN_HEADINGS = ("recipe", "photos", "test photos", "minutes of a core")
OTHER_HEADINGS = (
    "photos",
    "learns by",
    "head",
    "temperature",
    "EMA momentum",
    "queue",
    "learning rate",
    "smallest crop",
    "epochs",
    "before, %",
    "after (seed), %",
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


def write(*, gains: Sequence[Path] = (), tried: Sequence[Path] = (), others: Sequence[Path] = (), out: Path) -> None:
    """Write the page on adapting.

    Args:
        gains: What benchmarks/adapt_gain.py wrote, or an earlier page's gains.json.
        tried: RUN folders of trainings from which the recipe's settings were chosen, or an earlier page's tried.json.
        others: What benchmarks/adapt_gain.py wrote of recipes that were tried, or an earlier page's others.json.
        out: The folder to make; one that is there is replaced.
    """
    found, rejected = read_gains(gains), read_gains(others)
    trials = [trial for place in tried for trial in read_trials(place)]
    with new_folder(out, overwrite=True, kind="page") as folder:
        write_text(folder / "README.md", text(found, trials, rejected))
        write_json(folder / "gains.json", found)
        write_json(folder / "tried.json", trials)
        write_json(folder / "others.json", rejected)


def read_gains(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Of the benchmark's files, and of earlier pages' lists of them."""
    read = [json.loads(file.read_text()) for file in files]
    return [one for content in read for one in (content if isinstance(content, list) else [content])]


def text(
    found: Sequence[dict[str, Any]], trials: Sequence[dict[str, Any]], rejected: Sequence[dict[str, Any]] = ()
) -> str:
    """The text of README.md."""
    return page(
        "What adapting gains",
        question="Does a short training on your own photos, without labels, make an encoder better for them?",
        setting=(
            "The `*_adapt` recipes from `goodviews:mini`, three seeds each unless the table shows fewer. Top-1 "
            "accuracy of the task `knn`: each photo of a part that nobody learned from is looked up among the photos "
            "that were adapted to."
        ),
        found=[gain_table(found)] if found else [NOT_YET],
        answer=(answer(found) + (CHOSEN if rejected else "")) if found else NOT_YET,
        evidence=[
            *([folded("Commands, commits and hardware", run_table(found), evidence(found))] if found else []),
            *([folded("What was tried while the recipes were made", tried_table(trials))] if trials else []),
            *([folded("Other settings, and what they gained", other_table(rejected))] if rejected else []),
            "Made by `docs/results/adapt.py` from the JSON files beside this page; no figure is typed by hand.",
        ],
    )


def answer(found: Sequence[dict[str, Any]]) -> str:
    """What each interval allows to say."""
    sentences = [
        f"{one['recipe']['name']} on {one['data']}: {one['gain']:+.1f} points, {_verdict(one)}." for one in found
    ]
    return (
        "\n\n- " + "\n- ".join(sentences) + "\n\nMeasure on your own photos before you rely on it: the gain differs "
        "from data to data, and these are small sets of small photos with one small encoder."
    )


def _verdict(one: dict[str, Any]) -> str:
    if one["over_seeds"] is None:
        return "from one seed, so how much seeds differ is unknown"
    clear = [low > 0 or high < 0 for low, high in (one["over_seeds"], one["over_photos_and_seeds"])]
    if all(clear):
        return "more than seeds and test photos explain"
    if clear[0]:
        return "the same sign for new seeds on these test photos, but other test photos may show none"
    return "which seeds and test photos alone may explain"


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
    rows = [
        [
            f"{one['photos']:,} of {one['data']}, {one['recipe']['name']}",
            f"{one['start']:.1f}",
            ", ".join(f"{run['top1']:.1f}" for run in one["runs"]),
            f"{one['gain']:+.1f}",
            _interval(one["over_seeds"]),
            _interval(one["over_photos_and_seeds"]),
        ]
        for one in found
    ]
    about = (
        "Gains are in points. Brackets are 95 % intervals: by t over the seeds, and by the paired bootstrap, which "
        "draws test photos and seeds."
    )
    return f"{table(GAIN_HEADINGS, rows)}\n{about}"


def run_table(found: Sequence[dict[str, Any]]) -> str:
    """How long each took, and on how many photos it was tested."""
    rows = [
        [
            f"{one['recipe']['name']}, {one['recipe']['epochs']} epochs",
            f"{one['photos']:,} of {one['data']}",
            f"{one['test_photos']:,}",
            f"{sum(run['core_minutes'] for run in one['runs']) / len(one['runs']):.1f}",
        ]
        for one in found
    ]
    return wide_table(RUN_HEADINGS, rows)


def tried_table(trials: Sequence[dict[str, Any]]) -> str:
    """What was tried before, one seed each."""
    rows = []
    for one in trials:
        recipe, view = one["recipe"], one["recipe"]["views"][0]
        jitter = next((step for step in view["program"] if step["type"] == "ColorJitter"), {"brightness": 0.0})
        rows.append(
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
        "MoCo v2 in batches of 64 while the recipe was made, one seed each, from goodviews:mini "
        "at several stages of its own training. Online kNN is a gauge that looks at photos of the network's own size; "
        "its scores are those of the start and of some epochs after. Where they end before the last epoch, the run was "
        "stopped.\n\n"
        f"{wide_table(TRIED_HEADINGS, rows)}"
    )


def other_table(rejected: Sequence[dict[str, Any]]) -> str:
    """What other settings gained, on the same test photos."""
    rows = [
        [
            f"{one['photos']:,} of {one['data']}",
            one["recipe"]["objective"]["type"],
            one["recipe"]["head"],
            f"{one['recipe']['objective'].get('temperature', '')}",
            f"{(one['recipe'].get('slow') or {}).get('momentum', '')}",
            f"{(one['recipe'].get('memory') or {}).get('size', '')}",
            f"{one['recipe']['optimizer']['lr']:g}",
            f"{one['recipe']['views'][0]['crop']['scale'][0]:g}",
            f"{one['recipe']['epochs']}",
            f"{one['start']:.1f}",
            ", ".join(f"{run['top1']:.1f} ({run['seed']})" for run in one["runs"]),
        ]
        for one in rejected
    ]
    return f"{wide_table(OTHER_HEADINGS, rows)}\n{OWN}"


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
    return "\n".join(lines)


def _weights(parent: str | None) -> str:
    """The first digits of the SHA-256 in "NAME (weights SHA)"."""
    return (parent or "").rpartition("weights ")[2][:8]


def _interval(ends: Sequence[float] | None) -> str:
    return "one seed" if ends is None else f"[{ends[0]:+.1f}, {ends[1]:+.1f}]"


if __name__ == "__main__":
    app = cyclopts.App(default_parameter=cyclopts.Parameter(negative=(), consume_multiple=True))
    app.default(write)
    app()
