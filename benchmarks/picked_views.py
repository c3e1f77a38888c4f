"""What the criterion without labels picks, against the default views, in the same budget.

    python benchmarks/picked_views.py --tuned runs/flowers5 --data flowers5 --out runs/picked-flowers5

--tuned is a folder of `goodviews views tune`: of each knob the level whose features tell a photo's turns best is taken,
all four at once. The same command goes on with a run that was stopped; docs/results/views_tune.py shows its report.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from goodviews.pretrain.analysis.compute import SPARE_SIDE, compute
from goodviews.pretrain.analysis.lab_options import LabOptions
from goodviews.pretrain.analysis.photo_arrays import read_photos
from goodviews.pretrain.analysis.sweeps import Frame, Point, Sweep
from goodviews.pretrain.tuning.criteria import WITHOUT_LABELS, levels_of, pick
from goodviews.pretrain.tuning.strengths import DEFAULT, Strengths, knobs, views_with


def main() -> None:
    """Train both kinds of views and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuned", type=Path, required=True, help="the folder that `goodviews views tune` wrote")
    parser.add_argument("--data", required=True, help="labelled photos, as for `goodviews pretrain`")
    parser.add_argument("--out", type=Path, required=True, help="the RUN folder to make, or to go on with")
    parser.add_argument("--steps", type=int, default=100, help="of each training")
    parser.add_argument("--photos", type=int, default=2000, help="of each part of the data, at most")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--px", type=int, default=32)
    given = parser.parse_args()
    torch.set_num_threads(1)
    options = LabOptions(steps=given.steps, seeds=given.seeds, px=given.px, photos=given.photos)
    photos = read_photos(given.data, px=SPARE_SIDE * options.px, least_px=options.px, most=options.photos)
    picks = picked(given.tuned / "report.json")

    def make(frame: Frame) -> Sweep:
        points = [
            Point(name, views_with(strengths, frame.px), frame.training)
            for name, strengths in (("default", DEFAULT), (shown(picks), picks))
        ]
        question = "Do views that are picked without labels teach more than the default ones?"
        return Sweep("picked views", question, tuple(points), has_curve=False)

    compute(make, photos, given.out, options)
    print(given.out / "report.json")


def picked(report: Path) -> Strengths:
    """The criterion's level of each knob."""
    content, turns = json.loads(report.read_text("utf-8")), WITHOUT_LABELS["rotation"]
    levels = {knob: pick(levels_of(content, knob), getattr(DEFAULT, knob), turns) for knob in knobs()}
    return replace(DEFAULT, **levels)


def shown(strengths: Strengths) -> str:
    """The name of the point: what differs from the default."""
    changes = [
        f"{knob.replace('_', ' ')} {getattr(strengths, knob):g}"
        for knob in knobs()
        if getattr(strengths, knob) != getattr(DEFAULT, knob)
    ]
    return "picked by rotation: " + (", ".join(changes) or "the default")


if __name__ == "__main__":
    main()
