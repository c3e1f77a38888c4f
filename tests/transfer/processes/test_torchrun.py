"""Processes that torchrun starts: all run one command, the first does it, the others help, and all end with it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from goodviews.hub.errors import UsageError
from goodviews.hub.photo_encoder import open_on
from goodviews.transfer.processes.environment import processes_of_run, require_one_machine
from goodviews.transfer.registry import find_task
from goodviews.transfer.task import Setup

NETWORK = "random:resnet18-w0.25-32px"


def two_processes(*words: str, machines: int = 1) -> list[tuple[int, str, str]]:
    """Status, output and errors of the first and the second process, under the variables that torchrun sets."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = os.environ | {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": str(2 // machines)}
    common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "CUDA_VISIBLE_DEVICES": ""}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "goodviews.transfer", *words],
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank // machines)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    outputs = [process.communicate(timeout=300) for process in processes]
    return [(process.returncode, *output) for process, output in zip(processes, outputs)]


@pytest.mark.slow
@pytest.mark.parametrize("machines", [1, 2])
def test_processes_that_torchrun_started_give_the_result_of_one_and_the_first_alone_speaks(
    machines: int, colours: Path, tmp_path: Path
):
    words = ["linear-clsa", "--encoder", NETWORK, "--data", str(colours), "--set", "epochs=1", "--batch-size", "5"]
    first, second = two_processes(*words, "--out", str(tmp_path / "run"), machines=machines)
    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert "Results:" in first[1]
    assert second[1:] == ("", "")
    task = find_task("linear-clsa").with_changes(["epochs=1"])
    alone = task.run(open_on(NETWORK, "cpu"), colours, tmp_path / "alone", setup=Setup(batch_size=5))
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["metrics"] == pytest.approx(alone.metrics)
    one, other = (tmp_path / name / "predictions.csv" for name in ("run", "alone"))
    assert one.read_text() == other.read_text()


@pytest.mark.slow
def test_a_task_of_one_process_is_refused_once(colours: Path, tmp_path: Path):
    words = ["knn", "--encoder", NETWORK, "--data", str(colours), "--out", str(tmp_path / "run")]
    first, second = two_processes(*words)
    assert (first[0], second[0]) == (1, 0)
    assert first[2] == "error: knn runs in one process; leave out --processes, and start it without torchrun.\n"
    assert second[1:] == ("", "")


def test_processes_are_as_many_as_torchrun_started(monkeypatch):
    assert [processes_of_run(None), processes_of_run(3)] == [1, 3]
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert [processes_of_run(None), processes_of_run(2)] == [2, 2]
    for wanted in (1, 3):
        with pytest.raises(UsageError, match=f"torchrun started 2 processes and --processes is {wanted}; leave out"):
            processes_of_run(wanted)


def test_a_detector_on_several_machines_is_refused(monkeypatch):
    require_one_machine()
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="torchrun started 2 of 4 processes on this one; start them with --nnodes 1"):
        require_one_machine()
