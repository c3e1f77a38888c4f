import json
from pathlib import Path

import pytest

from goodviews.pretrain.tuning.criteria import CRITERIA, Record, is_trusted, records, sentence, shipped
from goodviews.pretrain.tuning.strengths import changed

PAGE = Path(__file__).parents[3] / "docs" / "results" / "views-tune"


def a_report(better_by_labels: dict[str, float], better_by_turns: dict[str, float]) -> dict:
    def point(name: str) -> dict:
        gains = {"linear class": better_by_labels, "linear rotation": better_by_turns}
        scores = {score: {"top1": 50.0 + gain.get(name, 0.0)} for score, gain in gains.items()}
        return {"name": name, "scores": scores, "information": {"nats": 1.0}}

    return {"points": [point("default"), *(point(name) for name, _ in changed())]}


def test_a_choice_is_near_within_one_step_of_the_best_and_loses_what_the_best_has_more():
    report = a_report({"crop 0.8": 8.0, "colour 0": 4.0}, {"crop 0.6": 1.0, "colour 1.5": 1.0})
    found = {record.way: record for record in records({"stripes": report})}
    assert (found["rotation"].near, found["rotation"].lost) == (3, (8.0 + 4.0) / 4)  # crop is near, colour is not
    assert (found["default"].near, found["default"].lost) == (2, (8.0 + 4.0) / 4)
    assert found["random"].near == pytest.approx(2 / 5 + 2 / 5 + 1 + 1)  # of blur and RandAugment all are the best


def test_the_criterion_is_trusted_only_if_it_beats_the_default_and_chance():
    def found(rotation: float, default: float, random: float) -> tuple[Record, ...]:
        near = {"rotation": rotation, "default": default, "random": random}
        return tuple(Record(way, count, 16, 1.0) for way, count in near.items())

    assert is_trusted(found(12, 11, 8))
    assert not is_trusted(found(12, 12, 8))
    assert not is_trusted(found(12, 11, 13))
    assert sentence(found(12, 11, 8.2)).endswith(
        "12 times of 16, the default 11 times, a level drawn at random 8.2 times on average."
    )


@pytest.mark.skipif(not PAGE.is_dir(), reason="runs in a clone: it reads the reports behind a page")
def test_what_ships_is_what_the_reports_of_the_page_say():
    reports = {
        path.stem.removeprefix("tune-"): json.loads(path.read_text()) for path in sorted(PAGE.glob("tune-*.json"))
    }
    assert len(reports) == 4
    assert list(shipped()) == records(reports), f"make {CRITERIA} anew: python docs/results/views_tune.py"
