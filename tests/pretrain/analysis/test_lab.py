import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from goodviews.hub.errors import OutputExists, UsageError
from goodviews.pretrain.analysis.lab import run_sweep
from goodviews.pretrain.analysis.lab_options import LabOptions, seconds_of

SMALL = LabOptions(steps=2, px=16)
PLAIN: dict[str, Any] = {"batch_size": 16, "precision": "fp32"}


def without_times(report: dict) -> dict:
    plain = json.loads(json.dumps(report))
    del plain["evidence"]
    for point in plain["points"]:
        del point["seconds"]
    return plain


def test_a_sweep_writes_figures_picture_and_page_and_goes_on_where_it_was(folder: Path, tmp_path: Path):
    out = tmp_path / "run"
    report = run_sweep("head", str(folder), out, SMALL, **PLAIN)
    points = sorted((out / "points").glob("*.json"))
    assert len(points) == 6
    times = {path.name: path.stat().st_mtime_ns for path in points}
    (out / "points" / "linear-seed1.json").unlink()
    again = run_sweep("head", str(folder), out, SMALL, **PLAIN)
    assert [path.name for path in points if path.stat().st_mtime_ns != times[path.name]] == ["linear-seed1.json"]
    assert without_times(again) == without_times(report)
    assert {"knn class", "linear class", "knn class, after the head"} <= set(report["points"][0]["scores"])
    for name in ("report.json", "report.html", "curve.png", "sweep.json"):
        assert (out / name).stat().st_size > 0


def test_another_sweep_is_not_mixed_into_a_run_and_a_strangers_folder_stays(folder: Path, tmp_path: Path):
    out = tmp_path / "run"
    run_sweep("head", str(folder), out, replace(SMALL, seeds=1), **PLAIN)
    with pytest.raises(UsageError, match=r"holds another sweep \(head"):
        run_sweep("head", str(folder), out, SMALL, **PLAIN)
    with pytest.raises(UsageError, match=r"holds another sweep \(head, 2 steps"):
        run_sweep("head", str(folder), out, replace(SMALL, steps=3, seeds=1), **PLAIN)
    run_sweep("head", str(folder), out, LabOptions(px=16, seeds=1), **PLAIN)  # goes on with its steps
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("Dear friend")
    with pytest.raises(OutputExists):
        run_sweep("head", str(folder), tmp_path / "letters", SMALL, **PLAIN)


@pytest.mark.slow
def test_points_in_two_processes_are_those_of_one(folder: Path, tmp_path: Path):
    one = run_sweep("head", str(folder), tmp_path / "one", replace(SMALL, seeds=1), **PLAIN)
    two = run_sweep("head", str(folder), tmp_path / "two", replace(SMALL, seeds=1, processes=2), **PLAIN)
    assert without_times(one) == without_times(two)


def test_a_budget_too_short_is_refused_and_leaves_all_as_it_was(folder: Path, tmp_path: Path):
    short, out = LabOptions(budget="0.01s", px=16, seeds=1), tmp_path / "run"
    with pytest.raises(UsageError, match="more than the budget"):
        run_sweep("head", str(folder), out, short, **PLAIN)
    assert not out.exists()
    run_sweep("head", str(folder), out, replace(SMALL, seeds=1), **PLAIN)
    before = {path: path.read_bytes() for path in out.rglob("*.*")}
    with pytest.raises(UsageError, match="more than the budget"):
        run_sweep("head", str(folder), out, replace(short, overwrite=True), **PLAIN)
    assert {path: path.read_bytes() for path in out.rglob("*.*")} == before


def test_wrong_words_are_answered_in_a_sentence(folder: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="perhaps ladder"):
        run_sweep("lader", str(folder), tmp_path / "run", SMALL, **PLAIN)
    with pytest.raises(UsageError, match="--px 4 is out of range"):
        run_sweep("head", str(folder), tmp_path / "run", replace(SMALL, px=4), **PLAIN)
    with pytest.raises(UsageError, match="--seeds 0"):
        run_sweep("head", str(folder), tmp_path / "run", replace(SMALL, seeds=0), **PLAIN)
    with pytest.raises(UsageError, match="needs --data"):
        run_sweep("head", None, tmp_path / "run", SMALL, **PLAIN)
    assert [seconds_of(text) for text in ("90s", "30m", "2h", "0.5m")] == [90, 1800, 7200, 30]
    with pytest.raises(UsageError, match="is no time"):
        seconds_of("soon")
