"""Which strengths of views to pretrain with on photos of one's own: from the photos to a recommendation.

Each level of each knob trains a small network. With labels it is judged by a linear probe. Without, by a criterion
that needs none: how well a linear probe on the features tells by how many quarter turns a photo was turned
(SelfAugment: Reed et al. 2021, arXiv:2009.07724, who find that it ranks augmentations much as labels do). Photos that
look alike from all sides, such as blood cells, give it nothing to see.

A level is recommended instead of the default only when its gain is sure. The label-free criterion has not been shown
to beat the default on sets with labels here; so without labels the default is recommended, and its choice is shown.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scipy import stats

from ...hub.files.atomic import write_json
from .photo_arrays import SplitPhotos, read_photos
from .run_sweep import claim, open_plan, refuse_taken, run_points
from .strengths import DEFAULT, DEFAULT_NAME, LEVELS, Strengths, knobs, tune_sweep
from .sweep_report import write_report
from .sweeps import Frame
from .trainer import Asked, Training, usual_precision

BY_LABELS, BY_ROTATION = "linear class", "linear rotation"
SURE = 0.95  # probability that a level beats the default, from which on it is recommended
_SPARE_SIDE = 3
_QUANTILE = 1.96


@dataclass(frozen=True)
class Choice:
    """What is found of one knob.

    best: the level with the highest score. gain: over the default, in points of top-1. probability: that it is a gain.
    recommended: the best level if that is sure and by labels, else the default.
    scores: top-1 of every level, in the order of LEVELS.
    """

    knob: str
    best: float
    gain: float
    probability: float
    recommended: float
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Recommendation:
    """What to pretrain with, and why."""

    strengths: Strengths
    criterion: str
    choices: tuple[Choice, ...]

    @property
    def is_default(self) -> bool:
        """Whether nothing is recommended but the default."""
        return self.strengths == DEFAULT

    def sentences(self) -> list[str]:
        """For the terminal and the page."""
        lines = [_sentence(choice, self.criterion) for choice in self.choices]
        if self.criterion == BY_ROTATION:
            lines.append(
                "There are no labels. The criterion without labels is not shown to choose better than the default, so "
                "the default is recommended; a few labelled photos decide it."
            )
        elif self.is_default:
            lines.append("No level is surely better than the default, so the default is recommended.")
        return lines


def tune(
    data: str,
    out: Path,
    *,
    budget_s: float | None,
    steps: int | None = None,
    seeds: int = 2,
    processes: int = 1,
    px: int = 32,
    most: int = 4000,
    precision: Asked = "auto",
    overwrite: bool = False,
    is_shown: bool = False,
) -> Recommendation:
    """Compute what RUN lacks and write figures, page and recipe file.

    Raises:
        DataError: too few photos.
        UsageError: the budget is too short; RUN holds something else.
    """
    from .tune_page import write_page, write_recipe

    refuse_taken(out, overwrite=overwrite, data=data)
    photos = read_photos(data, px=_SPARE_SIDE * px, least_px=px, most=most, needs_labels=False)
    photos = _without_single_class(photos)
    training = Training(
        steps=steps or 1, batch_size=min(128, len(photos.train) // 2), precision=usual_precision(precision)
    )
    claim(out, overwrite=overwrite)
    frame = Frame(px, photos.train.images.shape[-1], training)
    plan = open_plan(out, tune_sweep, frame, photos, seeds=seeds, budget_s=budget_s, processes=processes)
    results = run_points(plan, photos, out, processes=processes, is_shown=is_shown)
    report = write_report(plan, results, out)
    found = recommend(report)
    write_json(out / "tune.json", asdict(found))
    write_recipe(found, report, out / "tuned.py", photo_px=frame.photo_px)
    write_page(found, report, photos.train.images[:3], px, out)
    return found


def recommend(report: dict[str, Any]) -> Recommendation:
    """What the figures of all levels say."""
    scores = {point["name"]: point["scores"] for point in report["points"]}
    criterion = BY_LABELS if BY_LABELS in scores[DEFAULT_NAME] else BY_ROTATION
    choices = tuple(_choose(knob, scores, criterion) for knob in knobs())
    strengths = replace(DEFAULT, **{choice.knob: choice.recommended for choice in choices})
    return Recommendation(strengths, criterion, choices)


def _choose(knob: str, scores: dict[str, Any], criterion: str) -> Choice:
    usual = getattr(DEFAULT, knob)
    of_levels = {
        level: scores[DEFAULT_NAME if level == usual else f"{knob} {level:g}"][criterion] for level in LEVELS[knob]
    }
    best = max(of_levels, key=lambda level: (of_levels[level]["top1"], level == usual))
    gain = of_levels[best]["top1"] - of_levels[usual]["top1"]
    probability = 0.5 if best == usual else _probability(of_levels[best], of_levels[usual], len(of_levels) - 1)
    is_sure = criterion == BY_LABELS and probability >= SURE
    tops = tuple(of_levels[level]["top1"] for level in LEVELS[knob])
    return Choice(knob, best, gain, probability, best if is_sure else usual, tops)


def _probability(one: dict[str, Any], other: dict[str, Any], tries: int) -> float:
    """That `one` is truly better; it was picked as the best of several, which Bonferroni's rule allows for."""
    deviation = math.hypot(*((score["high"] - score["low"]) / 2 / _QUANTILE for score in (one, other)))
    p = float(stats.norm.sf((one["top1"] - other["top1"]) / max(deviation, 1e-9)))
    return 1 - min(1.0, tries * p)


def _sentence(choice: Choice, criterion: str) -> str:
    usual, name = getattr(DEFAULT, choice.knob), choice.knob.replace("_", " ")
    if choice.best == usual:
        return f"{name}: the default, {usual:g}, scores highest ({criterion})."
    decision = "recommended" if choice.recommended == choice.best else f"not sure enough; {usual:g} stays"
    return (
        f"{name}: {choice.best:g} scores {choice.gain:.1f} points more than the default {usual:g} ({criterion}); it is "
        f"better with a probability of {100 * choice.probability:.0f} %: {decision}."
    )


def _without_single_class(photos: SplitPhotos) -> SplitPhotos:
    """Labels of one class tell nothing: as if there were none."""
    return photos if photos.classes.get("class", 0) > 1 else replace(photos, classes={})


def strongest(knob: str) -> Sequence[float]:
    """Both extreme levels."""
    return LEVELS[knob][0], LEVELS[knob][-1]
