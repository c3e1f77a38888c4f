"""The page of speeds, made from what the scripts of benchmarks/ write with --out.

    python docs/results/speed.py --loader loader.json --loop loop.json --out docs/results/speed

OUT/README.md   tables, and who says so        OUT/loader.json, OUT/loop.json   the scripts' own files
"""

import json
import shutil
from pathlib import Path
from typing import Any

import cyclopts

from goodviews.hub.comparison.files import markdown_lines
from goodviews.hub.files.atomic import new_folder, write_text

WAYS = {
    "published": "the published pipeline: Pillow and torchvision, photo by photo",
    "decode_crop": "of it only decoding and crops",
    "worker_share": "ours, a loader worker's share where a GPU renders the views",
    "all_on_cpu": "ours, rendering the views too",
}


def write(*, loader: Path, loop: Path, out: Path) -> None:
    """Write the page of speeds.

    Args:
        loader: What benchmarks/loader_speed.py wrote.
        loop: What benchmarks/loop_overhead.py wrote.
        out: The folder to make; one that is there is replaced.
    """
    pages = [json.loads(file.read_text()) for file in (loader, loop)]
    parts = [
        "# Speeds, as ratios within one run",
        "Written by `docs/results/speed.py` from the files beside it; nothing is typed by hand.",
        _loader(pages[0]),
        _loop(pages[1]),
    ]
    with new_folder(out, overwrite=True, kind="page") as folder:
        write_text(folder / "README.md", "\n\n".join(part.strip() for part in parts) + "\n")
        for file, name in ((loader, "loader.json"), (loop, "loop.json")):
            shutil.copyfile(file, folder / name)


def _loader(figures: dict[str, dict[str, Any]]) -> str:
    lines = [["recipe", "way", "images a CPU second", "times the published", "rounds"], ["---"] * 5]
    for recipe, found in figures.items():
        for way, meaning in WAYS.items():
            rate, ratios = found["images_per_cpu_second"][way], found["ratio_to_published"][way]
            lines.append([recipe, meaning, f"{rate:.1f}", f"{ratios:.2f}", str(found["rounds"])])
    about = next(iter(figures.values()))
    photos = f"{about['source']['images']} photos of {about['median_pixels'] / 1e6:.2f} million pixels (median)"
    return (
        f"## From a JPEG file to a recipe's views, one thread\n\n{markdown_lines(lines)}\n"
        f"`python benchmarks/loader_speed.py`: {photos}, decoded by {about['decoder']}; {_evidence(about)}. Each "
        "rate is the median of the rounds, each ratio the median of the ratios within a round."
    )


def _loop(figures: dict[str, Any]) -> str:
    names = [
        "network",
        "side, px",
        "images a step",
        "a step, s",
        "overhead of the loop, %",
        "least to most, %",
        "steps",
    ]
    shares = figures["overheads"]
    row = [
        figures["architecture"],
        str(figures["px"]),
        str(figures["batch_size"]),
        f"{figures['step_s']:.2f}",
        f"{100 * figures['overhead']:.2f}",
        f"{100 * min(shares):.2f} to {100 * max(shares):.2f}",
        str(len(shares)),
    ]
    return (
        f"## What the training loop adds to a step\n\n{markdown_lines([names, ['---'] * 7, row])}\n"
        "All but the forward passes, the backward pass and the optimiser's step: waiting for images, moving them, "
        "drawing, momentum copy, queue, metrics.\n\n"
        f"`python benchmarks/loop_overhead.py`: {figures['precision']}, {figures['threads']} thread and "
        f"{figures['workers']} loader process; {_evidence(figures)}."
    )


def _evidence(figures: dict[str, Any]) -> str:
    return f"{figures['hardware']}, commit {figures['commit']}"


if __name__ == "__main__":
    cyclopts.run(write)
