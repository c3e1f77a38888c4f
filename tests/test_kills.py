"""A short run of benchmarks/kills.py: what is killed loses nothing and leaves no litter behind the next command."""

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "kills.py"

pytestmark = [
    pytest.mark.skipif(not SCRIPT.is_file(), reason="the benchmarks lie in the repository only"),
    pytest.mark.slow,
]


def test_commands_that_are_killed_lose_nothing_and_leave_nothing(tmp_path: Path):
    names = ["hub attach", "index add", "pretrain", "transfer"]
    outcome = runpy.run_path(str(SCRIPT))["kill_all"](tmp_path, kills=8, seed=1, names=names)
    assert outcome.lost == []
    assert outcome.litter == []
    assert sum(outcome.kills.values()) == 8
