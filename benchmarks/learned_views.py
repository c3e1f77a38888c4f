"""Learned views against raw channels in the same budget: I_NCE and accuracy of every seed, and a positive control.

    python benchmarks/learned_views.py --data cifar10 --out runs/learned-cifar10
    python benchmarks/learned_views.py --control --out runs/learned-control

Raw RGB and YDbDr splits, and generators learned unsupervised and semi-supervised (all photos have labels) with two
learning rates and two couplings: then new encoders on each split, with equally many steps. The control is the mixed toy
set (goodviews.pretrain.analysis.mixed_toy), whose best split is known. The same command goes on with a run that was
stopped; docs/results/learned_views.py makes a page of both reports.
"""

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from goodviews.hub.flow import Coupling, Flow, FlowPlan, Space
from goodviews.pretrain.analysis.compute import compute
from goodviews.pretrain.analysis.lab_options import LabOptions
from goodviews.pretrain.analysis.learn import Game, LearnedSplit, Mode, learn_views
from goodviews.pretrain.analysis.learn_run import draw_channels
from goodviews.pretrain.analysis.mixed_toy import Unmixed, mixed_photos
from goodviews.pretrain.analysis.photo_arrays import SplitPhotos, read_photos
from goodviews.pretrain.analysis.point_results import PointResult, compute_point
from goodviews.pretrain.analysis.sweeps import Frame, Point, Sweep

CONTROL_LR, CONTROL_CRITIC_LR = 3e-4, 2e-3  # critics that keep ahead of the generator
CONTROL_CROP = 0.8  # a smaller part would cut digits away


@dataclass(frozen=True)
class Arm:
    """A split: learned in a game, or without one the raw channels, or the known best one."""

    name: str
    plan: FlowPlan
    game: Game | None = None
    is_unmixed: bool = False
    smallest_crop: float = 0.2


def main() -> None:
    """Run what RUN lacks and write its report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="labelled photos, as for `goodviews pretrain`")
    parser.add_argument("--control", action="store_true", help="the toy set whose best split is known, instead")
    parser.add_argument("--out", type=Path, required=True, help="the RUN folder to make, or to go on with")
    parser.add_argument("--steps", type=int, default=150, help="of each game, and of each encoder")
    parser.add_argument("--photos", type=int, default=2000, help="of each part of the data, at most")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--px", type=int, default=32)
    given = parser.parse_args()
    if given.control == (given.data is not None):
        parser.error("Give --data or --control.")
    torch.set_num_threads(1)
    start_s = time.perf_counter()
    if given.control:
        photos = mixed_photos(px=given.px, train=given.photos, test=given.photos // 2, seed=0)
    else:
        photos = read_photos(given.data, px=given.px, least_px=given.px, most=given.photos)
    choose = control_arms if given.control else arms_of
    arms = {arm.name: arm for arm in choose(given.steps, given.batch_size, given.px)}

    def make(frame: Frame) -> Sweep:
        points = tuple(Point(name, arm, frame.training) for name, arm in arms.items())  # type: ignore[arg-type]
        question = "Do learned views teach more than the raw channels?"
        return Sweep("learned views", question, points, has_curve=False)

    def measure(sweep: Sweep, point: Point, photos: SplitPhotos, *, seed: int) -> PointResult:
        return learn_and_score(sweep, point, arms[point.name], photos, given.out, seed)

    options = LabOptions(steps=given.steps, seeds=given.seeds, px=given.px)
    compute(make, photos, given.out, options, batch_size=given.batch_size, point=measure)
    print(f"{given.out / 'report.json'} after {(time.perf_counter() - start_s) / 60:.1f} minutes")


def arms_of(steps: int, batch_size: int, px: int) -> list[Arm]:
    """Raw splits, and learned ones: three settings of each mode."""
    settings: list[tuple[Space, Coupling, float]] = [
        ("RGB", "additive", 1e-3),
        ("RGB", "additive", 2e-4),
        ("RGB", "affine", 1e-3),
    ]
    modes: tuple[Mode, ...] = ("unsupervised", "semi-supervised")
    arms = [Arm(f"raw {space}", FlowPlan(space=space)) for space in ("RGB", "YDbDr")]
    for mode in modes:
        for space, coupling, lr in settings:
            game = Game(mode, steps, px=px, batch_size=batch_size, labelled=batch_size // 2, generator_lr=lr)
            arms.append(Arm(f"{mode}, {coupling}, rate {lr:g}", FlowPlan(coupling, space, blocks=4, hidden=8), game))
    return arms


def control_arms(steps: int, batch_size: int, px: int) -> list[Arm]:
    """Raw, learned, and the best split there is."""
    plan = FlowPlan("additive", blocks=4, hidden=8)
    arms = [Arm("raw", plan, smallest_crop=CONTROL_CROP)]
    modes: tuple[Mode, ...] = ("unsupervised", "semi-supervised")
    for mode in modes:
        game = Game(mode, steps, px=px, batch_size=batch_size, labelled=batch_size, critic_lr=CONTROL_CRITIC_LR,
                    generator_lr=CONTROL_LR, temperature=0.2, smallest_crop=CONTROL_CROP)  # fmt: skip
        arms.append(Arm(mode, plan, game, smallest_crop=CONTROL_CROP))
    return [*arms, Arm("unmixed: digits alone are shared", plan, is_unmixed=True, smallest_crop=CONTROL_CROP)]


def learn_and_score(sweep: Sweep, point: Point, arm: Arm, photos: SplitPhotos, out: Path, seed: int) -> PointResult:
    """The game with this seed, if the arm has one, then an encoder on the split."""
    flow: Any = Unmixed() if arm.is_unmixed else Flow(arm.plan).eval()
    if arm.game is not None:
        flow = learn_views(photos.train, arm.plan, arm.game, classes=photos.classes["class"], seed=seed)
        if seed == 0:
            draw_channels(flow, arm.game.px).save(out / "views.png")  # of the last arm: semi-supervised
    split = LearnedSplit(flow, photos.train.images.shape[-1], arm.smallest_crop)
    return compute_point(sweep, replace(point, pairs=split), photos, seed=seed)


if __name__ == "__main__":
    main()
