"""What --compile gains a step on this machine, and what the first step costs.

    python benchmarks/compile_gain.py [--architecture resnet18] [--px 64] [--batch-size 64] [--steps 10] [--out c.json]

MoCo v2 on one batch that is there already, as it is and compiled, in turns on one thread of the processor: seconds of
the first step by the clock, of each later step in processor time, and the median of the ratios of steps that follow
each other. On a GPU (--device cuda) later steps are timed by the clock. `--compiler eager` only traces: no gain.
"""

import argparse
import json
import statistics
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from driven_run import PHOTOS, repeated
from torch._dynamo.utils import counters

from goodviews.hub.reports.provenance import commit, hardware
from goodviews.pretrain.data.loader import Batch
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipe import Recipe
from goodviews.pretrain.recipes.moco import moco_v2_views
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training import compiled, loop
from goodviews.pretrain.training.prepare import prepare
from goodviews.pretrain.training.run import Run

WAYS = {"plain": False, "compiled": True}


def main() -> None:
    """Measure, print and, if asked, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="resnet18")
    parser.add_argument("--px", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--compiler", default=compiled.COMPILER, help="a backend of torch.compile (default: inductor)")
    parser.add_argument("--images", type=Path, default=PHOTOS, help="a folder of photos (default: those of the tests)")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    torch.set_num_threads(1)
    compiled.COMPILER = given.compiler
    views = moco_v2_views(px=given.px)
    recipe = replace(choose("moco_v2_200"), architecture=given.architecture, views=views, batch_size=given.batch_size)
    figures = measure(recipe, given.images, steps=given.steps, device=given.device)
    print(
        f"a step plain {figures['step_s']['plain']:.3f} s, compiled {figures['step_s']['compiled']:.3f} s: "
        f"{figures['gain']:.2f} times as fast; the first one {figures['first_step_s']['compiled']:.0f} s, in "
        f"{figures['graphs']} graph{'s' * (figures['graphs'] > 1)}"
    )
    if given.out:
        about = {name: str(value) for name, value in vars(given).items()}
        figures |= {"given": about, "hardware": hardware(), "commit": commit()}
        given.out.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
        print(f"figures: {given.out}")


def measure(recipe: Recipe, images: Path, *, steps: int, device: str) -> dict:
    """Seconds by way, and the gain."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    with TemporaryDirectory() as folder, ExitStack() as stack:
        listed = repeated(images, Path(folder) / "photos.txt", at_least=2 * recipe.batch_size)
        runs = {
            way: _started(recipe, listed, Path(folder) / way, is_compiled, device, stack)
            for way, is_compiled in WAYS.items()
        }
        first = {way: _timed(*run, time.perf_counter) for way, run in runs.items()}
        for _ in range(steps):
            for way, run in runs.items():
                seconds[way].append(_timed(*run, time.process_time if device == "cpu" else time.perf_counter))
    return {
        "gain": statistics.median(
            plain / taken for plain, taken in zip(seconds["plain"], seconds["compiled"], strict=True)
        ),
        "step_s": {way: statistics.median(taken) for way, taken in seconds.items()},
        "steps_s": seconds,
        "first_step_s": first,
        "graphs": counters["stats"]["unique_graphs"],
        "graph_breaks": sum(counters["graph_break"].values()),
    }


def _started(
    recipe: Recipe, listed: Path, out: Path, is_compiled: bool, device: str, stack: ExitStack
) -> tuple[Run, Batch]:
    options = Options(device=device, precision="fp32", compile=is_compiled, save_every=10**9)  # type: ignore[arg-type]
    run = prepare(recipe, listed, out, options, lambda now: None, stack=stack)
    run.has_reported_activations = True
    batch = next(run.loader.epoch(0))
    run.loader.close()
    return run, batch


def _timed(run: Run, batch: Batch, clock) -> float:
    begin = clock()
    loop._step(run, [batch])
    if run.accelerator.device.type == "cuda":
        torch.cuda.synchronize()
    return float(clock() - begin)


if __name__ == "__main__":
    main()
