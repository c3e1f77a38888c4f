"""What the training loop adds to a step: all but forward passes, backward pass and optimiser, as a share of the step.

    python benchmarks/loop_overhead.py [--architecture resnet50] [--px 96] [--batch-size 32] [--steps 5] [--out o.json]

A real run of MoCo v2 on JPEG files: waiting for images, moving them, drawing, the momentum update, the queue, metrics,
watching for collapse and numbers that are none. The objective (with the key network's pass), `backward` and the
optimiser's step are timed within it; the rest is the overhead, and the ratio is of one run. Target: under 10 % for
ResNet-50 at 96 px on two CPU cores, one of them loading.
"""

import argparse
import json
import statistics
from dataclasses import replace
from pathlib import Path

import torch
from driven_run import PHOTOS, watch

from goodviews.hub.reports.provenance import commit, hardware
from goodviews.pretrain.models.queue import Queue
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipes.moco import moco_v2_views
from goodviews.pretrain.recipes.registry import choose


def main() -> None:
    """Measure, print and, if asked, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="resnet50")
    parser.add_argument("--px", type=int, default=96)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--images", type=Path, default=PHOTOS, help="a folder of photos (default: those of the tests)")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    recipe = replace(
        choose("moco_v2_200"),
        architecture=given.architecture,
        views=moco_v2_views(px=given.px),
        batch_size=given.batch_size,
        memory=Queue(65536),
    )
    options = {"workers": given.workers, "device": given.device, "precision": "fp32"}
    found = watch(recipe, given.images, steps=given.steps, warm_up=2, separate=True, options=Options(**options))
    shares = [1 - inside / step for step, inside in zip(found.steps, found.inside, strict=True)]
    figures = {
        "overhead": statistics.median(shares),
        "overheads": shares,
        "step_s": statistics.median(found.steps),
        "steps_s": found.steps,
        "inside_s": found.inside,
        "architecture": given.architecture,
        "px": given.px,
        "batch_size": given.batch_size,
        "threads": torch.get_num_threads(),
        **options,
        "hardware": hardware(),
        "commit": commit(),
    }
    print(f"a step {figures['step_s']:.3f} s, of it overhead of the loop {figures['overhead']:.1%} (median)")
    if given.out:
        given.out.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
        print(f"figures: {given.out}")


if __name__ == "__main__":
    main()
