"""How well a level is chosen without labels: each way of choosing beside what labels say, on sets that have labels.

The figures of the sets that were tried ship as criteria.json; docs/results/views_tune.py makes it from their reports.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from .strengths import DEFAULT, DEFAULT_NAME, LEVELS, knobs

BY_LABELS, BY_ROTATION = "linear class", "linear rotation"
CRITERIA = "criteria.json"

Measure = Callable[[dict[str, Any]], float]  # of a point of a report; the level with the highest is chosen

WITHOUT_LABELS: dict[str, Measure] = {
    "rotation": lambda point: float(point["scores"][BY_ROTATION]["top1"]),
    "most nats shared": lambda point: float(point["information"]["nats"]),
    "fewest nats shared": lambda point: -float(point["information"]["nats"]),
}


@dataclass(frozen=True)
class Record:
    """What came of a way of choosing, over all knobs of all sets.

    near: choices within one step of the level that labels score highest; of a random choice, how many are expected.
    lost: points of top-1 by labels that the chosen level has less than the highest, on average.
    """

    way: str
    near: float
    choices: int
    lost: float


def records(reports: Mapping[str, dict[str, Any]]) -> list[Record]:
    """The criteria without labels, then the default strength, then a level drawn at random.

    Args:
        reports: of `goodviews views tune` on photos with labels, by the name of the set.
    """
    rows = [
        (levels_of(report, knob), LEVELS[knob], getattr(DEFAULT, knob))
        for report in reports.values()
        for knob in knobs()
    ]
    found = []
    for way, measure in WITHOUT_LABELS.items():
        found.append(_record(way, [(points, [pick(points, usual, measure)]) for points, _, usual in rows]))
    found.append(_record("default", [(points, [usual]) for points, _, usual in rows]))
    found.append(_record("random", [(points, list(levels)) for points, levels, _ in rows]))
    return found


def levels_of(report: dict[str, Any], knob: str) -> dict[float, dict[str, Any]]:
    """The point of each level of a knob, from weak to strong."""
    points = {point["name"]: point for point in report["points"]}
    usual = getattr(DEFAULT, knob)
    return {level: points[DEFAULT_NAME if level == usual else f"{knob} {level:g}"] for level in LEVELS[knob]}


def pick(points: Mapping[float, dict[str, Any]], usual: float, measure: Measure) -> float:
    """The level with the highest measure; of equal ones the usual."""
    return max(points, key=lambda level: (measure(points[level]), level == usual))


def by_labels(point: dict[str, Any]) -> float:
    """Top-1 of a linear probe."""
    return float(point["scores"][BY_LABELS]["top1"])


@cache
def shipped() -> tuple[Record, ...]:
    """The records that were measured for this version."""
    content = json.loads((files("goodviews.pretrain.tuning") / CRITERIA).read_text("utf-8"))
    return tuple(Record(**record) for record in content["records"])


def is_trusted(found: tuple[Record, ...]) -> bool:
    """Whether the criterion that `views tune` uses without labels beat both the default and a random choice."""
    near = {record.way: record.near for record in found}
    return near["rotation"] > max(near["default"], near["random"])


def sentence(found: tuple[Record, ...]) -> str:
    """What is known of the criterion, for the terminal and the page."""
    of = {record.way: record for record in found}
    sets = of["rotation"].choices // len(knobs())
    return (
        f"On {sets} sets with labels the criterion without labels came within one step of the best level "
        f"{of['rotation'].near:g} times of {of['rotation'].choices}, the default {of['default'].near:g} times, a level "
        f"drawn at random {of['random'].near:.1f} times on average."
    )


def _record(way: str, rows: list[tuple[Mapping[float, dict[str, Any]], list[float]]]) -> Record:
    """Each row: the points of a knob, and the levels that are chosen, each with the same chance."""
    near, lost = 0.0, 0.0
    for points, chosen in rows:
        levels, score = list(points), {level: by_labels(point) for level, point in points.items()}
        top = max(score.values())
        best = [levels.index(level) for level in levels if score[level] == top]
        for level in chosen:
            near += any(abs(levels.index(level) - place) <= 1 for place in best) / len(chosen)
            lost += (top - score[level]) / len(chosen)
    return Record(way, near, len(rows), lost / len(rows))
