"""The page of speeds, made from what the scripts of benchmarks/ write with --out.

    python docs/results/speed.py --loader loader.json --loop loop.json --pair pair-1.json pair-2.json \
        --labels labels.json --out docs/results/speed

OUT/README.md   tables, and who says so
OUT/loader.json, loop.json, pair-1.json, ..., labels.json   the scripts' own files
"""

import json
import shutil
import statistics
from pathlib import Path
from typing import Annotated, Any

import cyclopts
from layout import folded, page, table
from scipy import stats

from goodviews.hub.files.atomic import new_folder, write_text

WAYS = {
    "published": "the published pipeline: Pillow and torchvision, photo by photo",
    "decode_crop": "of it only decoding and crops",
    "worker_share": "ours, a loader worker's share where a GPU renders the views",
    "worker_share_fast": "the same with the extra `fast`: JPEG files decoded by simplejpeg",
    "all_on_cpu": "ours, rendering the views too",
    "all_on_cpu_fast": "the same with the extra `fast`: views compiled by Numba too",
}


GOALS = {"infomin_200": 2.0, "clsa_multi_200": 2.5}  # with the views rendered, in times of the published pipeline
LABELS_GOALS = {"times": 1.0, "mb": 1000.0}  # of pycocotools' time; of all processes together
PAIR_GOALS = {"over_lightly": 1.2, "share": 0.95}


def write(
    *,
    loader: Path,
    loop: Path,
    pair: Annotated[list[Path], cyclopts.Parameter(consume_multiple=True)],
    labels: Path | None = None,
    out: Path,
) -> None:
    """Write the page of speeds.

    Args:
        loader: What benchmarks/loader_speed.py wrote.
        loop: What benchmarks/loop_overhead.py wrote.
        pair: What benchmarks/beside_lightly.py wrote, on one processor after another.
        labels: What benchmarks/label_memory.py wrote; by default what the page has.
        out: The folder to make; one that is there is replaced.
    """
    files = {"loader": loader, "loop": loop, "labels": labels or out / "labels.json"}
    files |= {f"pair-{number}": file for number, file in enumerate(pair, start=1)}
    with new_folder(out, overwrite=True, kind="page") as folder:
        for name, file in files.items():
            shutil.copyfile(file, folder / f"{name}.json")
        write_text(folder / "README.md", text(folder))


def text(folder: Path) -> str:
    """The text of README.md, from the files beside it."""
    loader, loop, labels = (json.loads((folder / f"{name}.json").read_text()) for name in ("loader", "loop", "labels"))
    pairs = [json.loads(file.read_text()) for file in sorted(folder.glob("pair-*.json"))]
    about = next(iter(loader.values()))
    photos = f"{about['source']['images']} photos of {about['median_pixels'] / 1e6:.2f} million pixels (median)"
    share, whole = (_with_and_without_fast(loader, way) for way in ("worker_share", "all_on_cpu"))
    return page(
        "Speeds, as ratios within one run",
        question=(
            "How fast are the views and a whole training on a CPU, how much does the training loop add, and what do "
            "COCO's labels take?"
        ),
        setting=(
            "One thread of a processor. Each way runs in turn in every round, so that other work on the machine meets "
            "all alike: each rate is the median of the rounds, each ratio the median of the ratios within a round."
        ),
        found=[
            "### From a JPEG file to a recipe's views",
            _loader(loader),
            "### Training MoCo v2 beside lightly",
            _pairs(pairs),
            "### The training loop",
            _loop(loop),
            "### Reading labels in COCO's format",
            _labels(labels),
        ],
        answer=(
            f"A loader worker has {share} the published pipeline's rate where a GPU renders the views, and {whole} "
            "where it renders them itself. "
            f"MoCo v2 trains {_over_processors(pairs, 'over_lightly')} times as fast as lightly's parts, "
            f"{_over_processors(pairs, 'kept_over_lightly')} times with --keep memory. "
            f"{_missed(loader, pairs, labels)} The loop "
            f"adds {100 * loop['overhead']:.1f} % to a step, measured on few steps of a busy machine: in single steps "
            f"up to {100 * max(loop['overheads']):.1f} %. The photos are few and small, and neither other "
            "sizes nor what a GPU makes of the views were measured here. "
            f"Labels are read in {labels['times_pycocotools_s']:.2f} times pycocotools' time."
        ),
        evidence=[
            folded(
                "Commands, commits and hardware",
                f"`python benchmarks/loader_speed.py`: {photos}, decoded by {about['decoder']}; {_evidence(about)}; "
                f"{about['rounds']} rounds.",
                *map(_pair_evidence, pairs),
                f"`python benchmarks/loop_overhead.py`: {loop['precision']}, {loop['threads']} thread and "
                f"{loop['workers']} loader process; {_evidence(loop)}.",
                f"`python benchmarks/label_memory.py --processes {labels['processes']}`: {_evidence(labels)}; "
                f"{len(labels['rounds']['goodviews'])} rounds.",
            ),
            f"Made by `docs/results/speed.py` from {', '.join(sorted(file.name for file in folder.glob('*.json')))}; "
            "no figure is typed by hand.",
        ],
    )


def _with_and_without_fast(loader: dict[str, dict[str, Any]], way: str) -> str:
    """From least to most over the recipes."""
    ratios = [found["ratio_to_published"] for found in loader.values()]
    fast = [its[f"{way}_fast"] for its in ratios if f"{way}_fast" in its]
    with_extra = f" ({_range(fast)} with the extra `fast`)" if fast else ""
    return f"{_range([its[way] for its in ratios])} times{with_extra}"


def _loader(figures: dict[str, dict[str, Any]]) -> str:
    rows = [
        [
            recipe,
            meaning,
            f"{found['images_per_cpu_second'][way]:.1f}",
            f"{found['ratio_to_published'][way]:.2f}",
        ]
        for recipe, found in figures.items()
        for way, meaning in WAYS.items()
        if way in found["ratio_to_published"]
    ]
    return table(["recipe", "way", "images a CPU second", "times the published"], rows)


def _loop(figures: dict[str, Any]) -> str:
    shares = figures["overheads"]
    names = ["network", "images a step", "a step, s", "overhead of the loop, %", "least to most, %", "steps"]
    row = [
        f"{figures['architecture']} at {figures['px']} px",
        str(figures["batch_size"]),
        f"{figures['step_s']:.2f}",
        f"{100 * figures['overhead']:.2f}",
        f"{100 * min(shares):.2f} to {100 * max(shares):.2f}",
        str(len(shares)),
    ]
    return (
        f"{table(names, [row])}\n"
        "Overhead is all but the forward passes, the backward pass and the optimiser's step: waiting for images, "
        "moving them, drawing, EMA copy, queue, metrics."
    )


def _pairs(pairs: list[dict[str, Any]]) -> str:
    return "\n".join(_pair(figures) for figures in pairs)


def _pair(figures: dict[str, Any]) -> str:
    rates = figures["images_per_cpu_second"]
    kept = "the same with --keep memory: photos decoded once, before"
    rows = [
        [
            meaning,
            f"{rates[way]:.1f}",
            _with_interval(figures, way, "lightly"),
            _with_interval(figures, way, "synthetic"),
        ]
        for way, meaning in (("from_files", "goodviews, from JPEG files"), ("kept", kept))
    ]
    rows += [
        ["lightly's parts, from the same files", f"{rates['lightly']:.1f}", "1.00", ""],
        ["goodviews, the same views at every step: the network alone", f"{rates['synthetic']:.1f}", "", "1.00"],
    ]
    network = f"{figures['architecture']} at {figures['px']} px, batches of {figures['batch_size']}, one thread"
    views = ", ours with the extra `fast`" if figures.get("compiled_views") else ""
    return (
        f"{table(['way', 'images a CPU second', 'times lightly', 'times the network alone'], rows)}\n"
        f"{figures['hardware']}: {network}, {figures['precision']}{views}; neither asks for deterministic algorithms. "
        f"In brackets the 95 % interval of the median over {figures['rounds']} rounds.\n"
    )


def _with_interval(pair: dict[str, Any], way: str, over: str) -> str:
    ratios = [one / other for one, other in zip(pair["rates"][way], pair["rates"][over], strict=True)]
    low, high = stats.quantile_test(ratios).confidence_interval(0.95)
    return f"{statistics.median(ratios):.2f} [{low:.2f}, {high:.2f}]"


def _over_processors(pairs: list[dict[str, Any]], ratio: str) -> str:
    """From least to most over the processors."""
    found = [pair[ratio] for pair in pairs]
    return _range(found) if len(found) > 1 else f"{found[0]:.2f}"


def _pair_evidence(pair: dict[str, Any]) -> str:
    return (
        f"`python benchmarks/beside_lightly.py --images DIR`: {pair['photos']} photos, {pair['precision']}, one "
        f"thread; {_evidence(pair)}; {pair['rounds']} rounds of {pair['steps']} steps."
    )


def _labels(figures: dict[str, Any]) -> str:
    ours, theirs = figures["medians"]["goodviews"], figures["medians"]["pycocotools"]
    memory = f"in {figures['processes']} processes"
    rows = [
        [
            name,
            f"{row['labels_s']:.1f}",
            f"{ratio:.2f}",
            *(f"{row[key]:,.0f}" for key in ("peak_mb", "alone_mb", "together_mb")),
        ]
        for name, row, ratio in (("goodviews", ours, figures["times_pycocotools_s"]), ("pycocotools", theirs, 1.0))
    ]
    heads = ["reader", "CPU seconds", "times pycocotools", "most MB while reading", "MB in one process", f"MB {memory}"]
    return (
        f"{table(heads, rows)}\n"
        f"A made-up file of {figures['file_mb']:,.0f} MB, as large as train2017's: {ours['photos']:,.0f} photos, "
        f"{ours['objects']:,.0f} objects with outlines. Of goodviews one process reads, and the others share what it "
        f"has read; with pycocotools each reads. goodviews opens each photo too, to compare its size, which takes "
        f"another {ours['photos_s']:.1f} s."
    )


def _missed(loader: dict[str, dict[str, Any]], pairs: list[dict[str, Any]], labels: dict[str, Any]) -> str:
    """Which goals the figures do not reach, in a sentence."""
    reached = {name: loader[name]["ratio_to_published"] for name in GOALS}
    best = {name: ratios.get("all_on_cpu_fast", ratios["all_on_cpu"]) for name, ratios in reached.items()}
    missed = [
        f"{name} {best[name]:.2f} of {goal} times the published rate"
        for name, goal in GOALS.items()
        if best[name] < goal
    ]
    meanings = {"over_lightly": "times lightly", "share": "of the network's own rate"}
    over = {"over_lightly": "lightly", "share": "synthetic"}
    missed += [
        f"{_with_interval(pair, 'from_files', over[name])} of {goal} {meanings[name]} on {pair['hardware']}"
        for pair in pairs
        for name, goal in PAIR_GOALS.items()
        if pair[name] < goal
    ]
    if labels["times_pycocotools_s"] > LABELS_GOALS["times"]:
        missed.append(
            f"labels in {labels['times_pycocotools_s']:.2f} of {LABELS_GOALS['times']} times pycocotools' time"
        )
    if (found := labels["medians"]["goodviews"]["together_mb"]) > LABELS_GOALS["mb"]:
        missed.append(f"labels in {found:,.0f} of {LABELS_GOALS['mb']:,.0f} MB")
    return f"Short of our goals: {'; '.join(missed)}." if missed else "All goals are reached."


def _range(ratios: list[float]) -> str:
    return f"{min(ratios):.2f} to {max(ratios):.2f}"


def _evidence(figures: dict[str, Any]) -> str:
    return f"{figures['hardware']}, commit {figures['commit']}"


if __name__ == "__main__":
    cyclopts.run(write)
