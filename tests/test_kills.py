"""A short run of benchmarks/kills.py: what is killed loses nothing and leaves no litter behind the next command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPT = BENCHMARKS / "kills.py"

pytestmark = [
    pytest.mark.skipif(not SCRIPT.is_file(), reason="the benchmarks lie in the repository only"),
    pytest.mark.slow,
]


def test_commands_that_are_killed_lose_nothing_and_leave_nothing(tmp_path: Path):
    names = ["hub attach", "index add", "pretrain", "transfer"]
    words = ["--kills", "8", "--seed", "1", "--only", *names, "--out", str(tmp_path / "kills.json")]
    # A process of its own: it forks, which torch forbids after a backward pass.
    ended = subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    outcome = json.loads((tmp_path / "kills.json").read_text("utf-8"))
    assert outcome["lost"] == []
    assert outcome["litter"] == []
    assert sum(outcome["kills"].values()) == 8


def test_indexes_whose_commands_are_killed_lose_nothing_and_keep_their_ids(tmp_path: Path):
    words = ["--kills", "5", "--seed", "3", "--out", str(tmp_path / "kills.json")]
    script = BENCHMARKS / "index_kills.py"
    ended = subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    outcome = json.loads((tmp_path / "kills.json").read_text("utf-8"))
    assert (outcome["lost"], outcome["litter"]) == ([], [])
    assert sum(outcome["kills"].values()) == 5
