"""A short run of benchmarks/fuzz.py: damaged files of others are read or refused, and nothing in them is run."""

import random
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "fuzz.py"

pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="the benchmarks lie in the repository only")


@pytest.fixture(scope="module")
def script() -> dict:
    return runpy.run_path(str(SCRIPT))


def test_no_damaged_file_ends_in_a_traceback_or_runs_code(script: dict, tmp_path: Path):
    outcome = script["fuzz"](tmp_path, files=60, seed=1)
    assert outcome.failures == []
    assert sum(outcome.counts.values()) == 60
    assert outcome.counts["refused"] > 30
    assert outcome.grown_mb < 500


def test_the_watch_hears_a_process_that_is_started(script: dict):
    import subprocess

    with script["watched"]() as events:
        subprocess.run(["true"], check=True)
    assert any("subprocess.Popen" in event for event in events)


def test_damage_changes_every_file(script: dict, tmp_path: Path):
    for seed in range(20):
        file = tmp_path / f"{seed}.json"
        file.write_text('{"a": [1, 2, {"b": "c"}], "d": "e"}')
        before = file.read_bytes()
        script["damage"](file, random.Random(seed))
        assert file.read_bytes() != before
