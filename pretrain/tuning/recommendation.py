"""What the figures of all levels say: a level is recommended instead of the default only when its gain is sure.

By labels it is. The criterion without labels decides only if it beat the default and a random choice on the sets with
labels that were tried (see `criteria`); otherwise the default is recommended, and what it prefers is shown.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

from scipy import stats

from .criteria import BY_LABELS, BY_ROTATION, is_trusted, levels_of, sentence, shipped
from .strengths import DEFAULT, DEFAULT_NAME, LEVELS, Strengths, knobs

SURE = 0.95  # probability that a level beats the default, from which on it is recommended
_QUANTILE = 1.96


@dataclass(frozen=True)
class Choice:
    """What is found of one knob.

    best: the level with the highest score. gain: over the default, in points of top-1. probability: that it is a gain.
    recommended: the best level if that is sure and the criterion may decide, else the default.
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
            lines.append(f"There are no labels. {sentence(shipped())}")
            if self.is_default:
                lines.append("So the default is recommended; a few labelled photos decide it.")
        elif self.is_default:
            lines.append("No level is surely better than the default, so the default is recommended.")
        return lines


def recommend(report: dict[str, Any]) -> Recommendation:
    """What the figures of all levels say."""
    scores = next(point["scores"] for point in report["points"] if point["name"] == DEFAULT_NAME)
    criterion = BY_LABELS if BY_LABELS in scores else BY_ROTATION
    may_decide = criterion == BY_LABELS or is_trusted(shipped())
    choices = tuple(_choose(knob, report, criterion, may_decide=may_decide) for knob in knobs())
    strengths = replace(DEFAULT, **{choice.knob: choice.recommended for choice in choices})
    return Recommendation(strengths, criterion, choices)


def _choose(knob: str, report: dict[str, Any], criterion: str, *, may_decide: bool) -> Choice:
    usual = getattr(DEFAULT, knob)
    of_levels = {level: point["scores"][criterion] for level, point in levels_of(report, knob).items()}
    best = max(of_levels, key=lambda level: (of_levels[level]["top1"], level == usual))
    gain = of_levels[best]["top1"] - of_levels[usual]["top1"]
    probability = 0.5 if best == usual else _probability(of_levels[best], of_levels[usual], len(of_levels) - 1)
    is_sure = may_decide and probability >= SURE
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
    more = f"{name}: {choice.best:g} scores {choice.gain:.1f} points more than the default {usual:g} ({criterion})"
    if choice.recommended == choice.best:
        return f"{more}; it is better with a probability of {100 * choice.probability:.0f} %: recommended."
    return f"{more}, which is not sure enough; {usual:g} stays."
