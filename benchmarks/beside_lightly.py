"""Training MoCo v2 on a CPU beside lightly's parts: the same photos, network, batch and precision, one thread.

    pip install lightly
    python benchmarks/beside_lightly.py [--images DIR] [--rounds 3] [--compile] [--out pair.json]

Ways in turns, timed in CPU seconds of this process; each ratio is the median of the ratios within a round:

from_files   goodviews, through its training loop: files decoded, views rendered, metrics and all
kept         the same with --keep memory: each photo decoded once, before the first step, which is not timed
synthetic    the same as from_files, but every step gets the first step's views: what the network alone takes
lightly      lightly's views, head and loss in a loop as its documentation has it (see gpu_pretraining.py)
compiled     with --compile: goodviews from files with its own option of that name; the first step, which takes a
             minute, is not timed

Neither asks for deterministic algorithms. Ours is measured with the extra "fast" where that is installed.
Targets: from_files / lightly 1.2, from_files / synthetic 0.95.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from driven_run import PHOTOS, watch
from gpu_pretraining import lightly_rate

from goodviews.hub.reports.provenance import commit, hardware
from goodviews.hub.sources.folders import find_images
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipe import Recipe
from goodviews.pretrain.recipes.moco import moco_v2_views
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.views import compiled

RATIOS = {
    "over_lightly": ("from_files", "lightly"),
    "share": ("from_files", "synthetic"),
    "kept_over_lightly": ("kept", "lightly"),
    "kept_share": ("kept", "synthetic"),
    "compiled_over_lightly": ("compiled", "lightly"),
}


def main() -> None:
    """Measure, print and, if asked, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, default=PHOTOS, help="a folder of photos (default: those of the tests)")
    parser.add_argument("--architecture", default="resnet18")
    parser.add_argument("--px", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--warm-up", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="measure goodviews with --compile too")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    torch.set_num_threads(1)
    recipe = replace(
        choose("moco_v2_200"),
        architecture=given.architecture,
        views=moco_v2_views(px=given.px),
        batch_size=given.batch_size,
    )
    ways = _ways(recipe, given)
    rates = {way: [] for way in ways}
    for _ in range(given.rounds):
        for way, measure in ways.items():
            rates[way].append(measure())
    ratios = {name: pair for name, pair in RATIOS.items() if set(pair) <= set(ways)}
    figures = {
        "images_per_cpu_second": {way: statistics.median(its) for way, its in rates.items()},
        **{name: _ratio(rates, *pair) for name, pair in ratios.items()},
        "rates": rates,
        **{name: getattr(given, name) for name in ("architecture", "px", "batch_size", "rounds", "steps", "warm_up")},
        "photos": len(find_images(given.images)),
        "precision": "fp32",
        "compiled_views": compiled.is_installed(),
        "hardware": hardware(),
        "commit": commit(),
    }
    print("  ".join(f"{name} {figures[name]:.2f}" for name in ratios))
    if given.out:
        given.out.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
        print(f"figures: {given.out}")


def _ways(recipe: Recipe, given: argparse.Namespace) -> dict[str, Callable[[], float]]:
    options = Options(device="cpu", precision="fp32", workers=0, knn_every=0)
    with_compiler = replace(options, compile=True)
    lightlys = argparse.Namespace(**vars(given), device="cpu", precision="fp32", workers=0)

    def ours(*, is_synthetic: bool = False, options: Options = options) -> float:
        return watch(
            recipe,
            given.images,
            steps=given.steps,
            warm_up=given.warm_up,
            synthetic=is_synthetic,
            options=options,
            clock=time.process_time,
        ).images_per_s

    return {
        "from_files": ours,
        "kept": lambda: ours(options=replace(options, keep="memory")),
        "synthetic": lambda: ours(is_synthetic=True),
        "lightly": lambda: lightly_rate(recipe, lightlys, time.process_time),
        **({"compiled": lambda: ours(options=with_compiler)} if given.compile else {}),
    }


def _ratio(rates: dict[str, list[float]], way: str, over: str) -> float:
    return statistics.median(one / other for one, other in zip(rates[way], rates[over], strict=True))


if __name__ == "__main__":
    main()
