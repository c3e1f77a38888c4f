"""What it brings that loader workers make a batch together, in portions, instead of each a whole one.

    python benchmarks/loader_portions.py [--recipe moco_v2_200] [--batch-size 256] [--images DIR] [--out portions.json]

Both ways through the same photos, in turns, with 1 and 2 workers (--workers). Of each: seconds to the first batch,
images a second after --warm-up steps, milliseconds of processor time an image (workers and main process together), and
what the main process' own thread spends a step, without the views' programs. Each figure is the median of the rounds
and each ratio the median of the ratios within a round. Nothing is done with the images: a step takes as long as its
images, once what the workers have in stock is used up (--warm-up).

With --for gpu the workers plan the views and hand over crops, as for a GPU, and all is put together in a thread; the
copy to the GPU and its work are left out.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import torch
from driven_run import PHOTOS, repeated

from goodviews.hub.reports.provenance import commit, hardware
from goodviews.hub.sources.open import open_data
from goodviews.hub.sources.source import Source
from goodviews.pretrain.data import portions
from goodviews.pretrain.data.loader import ViewLoader
from goodviews.pretrain.freed_memory import keep_freed_memory
from goodviews.pretrain.recipes.registry import choose

WAYS = {"whole": 2**62, "portions": portions.PORTION}


def main() -> None:
    """Measure, print a table and, if asked, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="moco_v2_200", help="whose views (default: moco_v2_200)")
    parser.add_argument("--for", dest="target", choices=["cpu", "gpu"], default="cpu", help="(default: cpu)")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--images", type=Path, default=PHOTOS, help="a folder of photos (default: those of the tests)")
    parser.add_argument("--warm-up", type=int, default=8, help="steps")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as runs do
    with TemporaryDirectory() as folder:
        wanted = given.batch_size * (1 + given.warm_up + given.steps)
        source = open_data(repeated(given.images, Path(folder) / "photos.txt", at_least=wanted)).train
        figures = {
            f"{workers} worker{'s' * (workers > 1)}": measure(given, source, workers) for workers in given.workers
        }
    for name, measured in figures.items():
        for figure, ratio in measured["ratios"].items():
            values = "".join(f"  {way} {value:9.3f}" for way, value in measured["medians"][figure].items())
            print(f"{name}: {figure:22s}{values}  portions/whole {ratio:.2f}")
    if given.out:
        about = {"given": {name: str(value) for name, value in vars(given).items()}, "hardware": hardware()}
        given.out.write_text(json.dumps(figures | about | {"commit": commit()}, indent=2) + "\n", "utf-8")
        print(f"figures: {given.out}")


def measure(given: argparse.Namespace, source: Source, workers: int) -> dict[str, Any]:
    """Figures of all rounds, by way, with their medians and ratios."""
    rounds = []
    for _ in range(given.rounds):
        rounds.append({way: _one(given, source, workers, size) for way, size in WAYS.items()})
    names = [*rounds[0]["whole"]]
    return {
        "medians": {
            name: {way: statistics.median(each[way][name] for each in rounds) for way in WAYS} for name in names
        },
        "ratios": {
            name: statistics.median(each["portions"][name] / each["whole"][name] for each in rounds) for name in names
        },
        "rounds": rounds,
    }


def _one(given: argparse.Namespace, source: Source, workers: int, size: int) -> dict[str, float]:
    portions.PORTION, views = size, choose(given.recipe).views
    device = "cpu" if given.target == "cpu" else "meta"  # one that is none, and not the CPU
    loader = ViewLoader(source, views, batch_size=given.batch_size, seed=0, workers=workers, device=device)
    loader._views = lambda *given: {}  # type: ignore[method-assign]
    begin, batches = time.perf_counter(), loader.epoch(0)
    next(batches)
    first_s = time.perf_counter() - begin
    for _ in range(given.warm_up):
        next(batches)
    begin, all_s, own_s = time.perf_counter(), _processor_s(), time.thread_time()
    for _ in range(given.steps):
        next(batches)
    figures = {
        "first_batch_s": first_s,
        "images_per_s": given.steps * given.batch_size / (time.perf_counter() - begin),
        "processor_ms_an_image": 1e3 * (_processor_s() - all_s) / given.steps / given.batch_size,
        "main_thread_ms_a_step": 1e3 * (time.thread_time() - own_s) / given.steps,
    }
    loader.close()
    return figures


def _processor_s() -> float:
    """Of this process and its workers."""
    here = psutil.Process()
    return sum(sum(each.cpu_times()[:2]) for each in (here, *here.children()))


if __name__ == "__main__":
    main()
