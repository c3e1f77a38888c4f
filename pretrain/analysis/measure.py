"""How many nats the two views of a recipe share, and what each of its operations takes away.

Every operation is left out once: what the views share more without it is what it takes away. The measure is I_NCE, of
small networks that learn from just these views, or of an encoder of the user's choice, which sees them for the first
time: lower, since it was not made for telling pairs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ...hub.encoder import Encoder
from ...hub.errors import UsageError
from ...hub.pretrained import from_pretrained
from ..recipe import Recipe
from ..recipes.registry import choose
from ..views.operations import GaussianBlur, Normalize, cut_of
from ..views.view import CentreCrop, Operation, View
from .colour_spaces import ChannelSplit
from .compute import SPARE_SIDE, compute
from .lab_options import LabOptions, MeasureOptions
from .pairs import Augmented, Pairs
from .photo_arrays import SplitPhotos, read_photos
from .point_results import PointResult, compute_point
from .run_sweep import refuse_taken
from .scores import held_out_information
from .sweeps import Frame, Point, Sweep
from .trainer import Asked

USUAL = MeasureOptions()
ALL = "all operations"
_QUANTILE = 1.96


@dataclass(frozen=True)
class Taken:
    """What an operation takes away, in nats, with a 95 % interval; `without` is what is shared without it."""

    operation: str
    without: float
    nats: float
    low: float
    high: float


def measure_recipe(
    name: str,
    data: str,
    out: Path,
    options: LabOptions = USUAL,
    *,
    encoder: str | None = None,
    precision: Asked = "auto",
    is_shown: bool = False,
) -> tuple[dict[str, Any], list[Taken]]:
    """The report of a recipe's views, and what each operation takes away.

    Args:
        encoder: whose vectors are compared, of views at its own size; by default small networks are trained.

    Raises:
        UsageError: no such recipe, or it has no two views of a photo; the budget is too short.
        DataError: the photos do not suffice.
    """
    recipe = choose(name)
    options.check()
    refuse_taken(out, overwrite=options.overwrite, data=data)
    judge = None if encoder is None else from_pretrained(encoder)
    if judge is not None:
        options = replace(options, px=judge.preprocessing.input_px, steps=1)  # nothing is trained
    pairs = views_of(recipe, options.px, judge)
    photos = read_photos(data, px=SPARE_SIDE * options.px, least_px=options.px, most=options.photos, needs_labels=False)
    if judge is not None:
        photos = replace(photos, classes={}, about={**photos.about, "encoder": judge.name})
    report = compute(
        partial(leave_one_out, name, pairs),
        photos,
        out,
        options,
        precision=precision,
        is_shown=is_shown,
        point=compute_point if encoder is None else partial(judge_point, encoder),
    )
    return report, taken_by(report)


def views_of(recipe: Recipe, px: int, judge: Encoder | None = None) -> Pairs:
    """The two views that the recipe contrasts, at another size, blurs in proportion.

    Raises:
        UsageError: it has only one.
    """
    if getattr(recipe.objective, "branches", 1) == 2:
        return ChannelSplit("YDbDr", 0, px)
    whole = [view for view in recipe.views if cut_of(view) is None]
    if len(whole) < 2:
        raise UsageError(f"{recipe.name} has one view of a photo, {whole[0].name}, which shares with no other.")
    normalize = None
    if judge is not None:
        normalize = Normalize(mean=judge.preprocessing.mean, std=judge.preprocessing.std)
    return Augmented(tuple(_resized(view, px, normalize) for view in whole[:2]))


def leave_one_out(name: str, pairs: Pairs, frame: Frame) -> Sweep:
    """All operations, and each left out of both views in turn."""
    points = [Point(ALL, pairs, frame.training)]
    if isinstance(pairs, Augmented):
        for operation in operations_of(pairs):
            points.append(Point(f"without {operation}", without(pairs, operation), frame.training))
    question = f"How much do the views of {name} share, and what does each operation take away?"
    return Sweep(f"measure {name}", question, tuple(points), has_curve=False)


def operations_of(pairs: Augmented) -> list[str]:
    """The kinds of what either view goes through, the crop first."""
    kinds = [type(step).__name__ for view in pairs.views for step in view.program if not isinstance(step, Normalize)]
    return ["crop", *dict.fromkeys(kinds)]


def without(pairs: Augmented, operation: str) -> Augmented:
    """The views without operations of a kind; without the crop they show the whole photo."""
    if operation == "crop":
        return Augmented(tuple(replace(view, crop=CentreCrop(view.crop.px, share=1.0)) for view in pairs.views))
    kept = [
        replace(view, program=tuple(step for step in view.program if type(step).__name__ != operation))
        for view in pairs.views
    ]
    return Augmented(tuple(kept))


def taken_by(report: dict[str, Any]) -> list[Taken]:
    """What each operation takes away, the most first."""
    first, *others = report["points"]
    base, taken = first["information"], []
    for point in others:
        found = point["information"]
        nats = found["nats"] - base["nats"]
        half = math.hypot(*((one["high"] - one["low"]) / 2 for one in (found, base)))
        name = point["name"].removeprefix("without ")
        taken.append(Taken(name, found["nats"], nats, nats - half, nats + half))
    return sorted(taken, key=lambda one: -one.nats)


class _Judge(nn.Module):
    """An encoder as a network of pairs: unit rows of its features."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, views: Sequence[Tensor]) -> list[Tensor]:
        return [F.normalize(self.encoder(view).float(), dim=1) for view in views]


def judge_point(encoder: str, sweep: Sweep, point: Point, photos: SplitPhotos, *, seed: int) -> PointResult:
    """I_NCE of a point by an encoder that does not learn from it."""
    network = _Judge(from_pretrained(encoder)).eval()
    blocks, negatives = held_out_information(network, point.pairs, photos.test, seed=seed)
    return PointResult(point.name, seed, tuple(blocks), negatives, 0.0, {}, training_s=0.0, seconds=0.0)


def _resized(view: View, px: int, normalize: Normalize | None) -> View:
    share = px / view.crop.px
    program: list[Operation] = []
    for step in view.program:
        if isinstance(step, GaussianBlur):
            low, high = (sigma * share for sigma in step.sigma)
            step = replace(step, sigma=(max(low, 1e-2), max(high, 2e-2)))
        program.append(normalize if normalize is not None and isinstance(step, Normalize) else step)
    return replace(view, crop=replace(view.crop, px=px), program=tuple(program))
