"""Several processes: one that fails or is killed ends all of them with a sentence, and none waits for ever."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from goodviews.hub.reports import provenance

SMOKE = ["infomin_smoke", "--set", "architecture=test_resnet", "--device", "cpu", "--precision", "fp32"]
SMOKE += ["--knn-every", "0", "--workers", "0"]


def start(words: list[object], world: int = 2) -> list[subprocess.Popen[str]]:
    """Processes as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = os.environ | {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common |= {"LOCAL_WORLD_SIZE": str(world), "ACCELERATE_USE_CPU": "true"}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-m", "goodviews.pretrain", *map(str, words)]
    return [
        subprocess.Popen(command, env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, **pipes)
        for rank in range(world)
    ]


def sentences(errors: str) -> list[str]:
    return [line for line in errors.splitlines() if line.startswith("error")]


@pytest.mark.slow
def test_a_killed_process_ends_the_other_with_one_sentence(images: Path, tmp_path: Path):
    processes = start([*SMOKE, "--data", images, "--out", tmp_path / "run", "--epochs", "500"])
    metrics = tmp_path / "run" / "metrics.jsonl"
    while not metrics.exists() and processes[0].poll() is None:
        time.sleep(0.1)
    processes[1].send_signal(signal.SIGKILL)
    _, errors = processes[0].communicate(timeout=300)
    assert processes[0].returncode == 1
    assert "Traceback" not in errors
    (sentence,) = sentences(errors)
    assert sentence.startswith("error: Another process of this run ended, so process 0 of 2 ends too; ")
    assert "--resume" in sentence


@pytest.mark.slow
def test_what_one_process_refuses_is_said_once_and_ends_all(images: Path, tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    processes = start([*SMOKE, "--data", images, "--out", tmp_path / "run"])
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [1, 1]
    assert [len(sentences(text)) for text in errors] == [1, 0]
    assert "Traceback" not in "".join(errors)


@pytest.mark.slow
def test_torchrun_stands_in_recipe_json_and_a_resumption_with_one_process_is_refused(images: Path, tmp_path: Path):
    words = [*SMOKE, "--data", str(images), "--out", str(tmp_path / "run"), "--epochs", "1"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, "-m", "goodviews.pretrain", *words],
        env=os.environ | {"ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    about = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert about["processes"] == 2
    assert about["command"].startswith(
        "python -m torch.distributed.run --standalone --nproc-per-node 2 -m goodviews.pretrain infomin_smoke --set "
    )
    assert str(tmp_path) not in about["command"]
    alone = subprocess.run(
        [sys.executable, "-m", "goodviews.pretrain", *words, "--resume"], capture_output=True, text=True, timeout=300
    )
    assert alone.returncode == 1
    (sentence,) = sentences(alone.stderr)
    assert "was started with 2 processes and cannot go on with 1" in sentence


@pytest.mark.slow
def test_a_killed_loader_worker_ends_its_run_with_one_sentence(images: Path, tmp_path: Path):
    words = [*SMOKE[:-1], "1", "--data", str(images), "--out", str(tmp_path / "run"), "--epochs", "500"]
    command = [sys.executable, "-m", "goodviews.pretrain", *words]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "run" / "metrics.jsonl"
    while not metrics.exists() and run.poll() is None:
        time.sleep(0.1)
    (worker,) = psutil.Process(run.pid).children()
    worker.kill()
    _, errors = run.communicate(timeout=300)
    assert run.returncode == 1
    assert "Traceback" not in errors
    (sentence,) = sentences(errors)
    assert sentence.startswith("error: A process that this command had started was killed: most often the system ")
    assert "--resume" in sentence


@pytest.mark.parametrize(
    ("above", "words"),
    [
        (
            ["/opt/bin/python3.11", "/opt/bin/torchrun", "--nproc-per-node", "2", "x.py", "/data/a"],
            "torchrun --nproc-per-node 2 x.py a",
        ),
        (["/usr/bin/python3", "-m", "torch.distributed.run", "x.py"], "python -m torch.distributed.run x.py"),
        (["/usr/local/bin/torchrun", "x.py", "--data=/secret/b"], "torchrun x.py --data=b"),
    ],
)
def test_the_launcher_is_named_without_folders(above, words, monkeypatch):
    class Parent:
        def __init__(self, pid: int):
            assert pid == os.getppid()

        def cmdline(self) -> list[str]:
            return above

    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setattr("psutil.Process", Parent)
    assert provenance.command() == words
