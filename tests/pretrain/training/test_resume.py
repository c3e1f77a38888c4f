"""A run killed at any step goes on bit for bit."""

import json
import operator
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from goodviews.hub.errors import ArtifactError, GoodviewsError
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training import checkpoint, loop

pytestmark = pytest.mark.precision

TIMES = {"images_per_s", "data_wait", "time_s"}

KILLED = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
import torch
from goodviews.pretrain.options import Options
from goodviews.pretrain.training import loop
from goodviews.pretrain.recipes.registry import choose

torch.set_num_threads(1)
step, data, out, last, workers = loop._step, Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])

def step_then_die(run, batch):
    if run.state.step == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(run, batch)

if __name__ == "__main__":
    loop._step = step_then_die
    recipe = replace(choose("infomin_smoke"), architecture="test_resnet", epochs=2)
    loop.pretrain(recipe, data, out, Options(workers=workers, save_every=3))
"""


def metrics(run: Path) -> list[dict]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in TIMES} for line in lines]


def state(run: Path) -> dict:
    return torch.load(run / "state" / checkpoint.FILE, weights_only=True)


def assert_same(first: Path, second: Path) -> None:
    a, b = state(first), state(second)
    for part in ("query", "key"):
        assert a[part].keys() == b[part].keys()
        assert all(torch.equal(a[part][name], b[part][name]) for name in a[part]), part
    assert torch.equal(a["memory"]["rows"], b["memory"]["rows"])
    assert a["memory"]["pointer"] == b["memory"]["pointer"]
    buffers = [[s["momentum_buffer"] for s in c["optimizer"]["state"].values()] for c in (a, b)]
    assert all(torch.equal(x, y) for x, y in zip(*buffers))
    weights = [(run / "encoder" / "model.safetensors").read_bytes() for run in (first, second)]
    assert weights[0] == weights[1]
    assert metrics(first) == metrics(second)


@pytest.fixture(scope="module")
def unbroken(images, smoke, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("unbroken") / "run"
    loop.pretrain(smoke, images, run, Options(save_every=3))
    return run


@pytest.mark.parametrize(("last_step", "workers"), [(7, 0), (2, 0), (5, 2)])
def test_run_killed_by_sigkill_ends_with_the_weights_of_an_unbroken_one(
    last_step, workers, unbroken, images, smoke, tmp_path
):
    """Steps 3 and 6 are saved; 7 lies in mid-epoch after a save, 2 before the first save, 5 has workers in flight."""
    run = tmp_path / "run"
    (tmp_path / "killed.py").write_text(KILLED)
    command = [sys.executable, tmp_path / "killed.py", images, run, str(last_step), str(workers)]
    killed = subprocess.run(command, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with (run / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 8, "lo')  # a line the kill cut short
    loop.pretrain(smoke, images, run, Options(workers=workers, save_every=3, resume=True))
    assert_same(unbroken, run)


def test_sigterm_saves_and_says_how_to_go_on(unbroken, images, smoke, tmp_path, monkeypatch):
    step = loop._step

    def step_and_signal(run, batch):
        done = step(run, batch)
        if run.state.step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return done

    monkeypatch.setattr(loop, "_step", step_and_signal)
    with pytest.raises(GoodviewsError, match=r"Stopped by SIGTERM after step 5 of 8; .* --resume to go on"):
        loop.pretrain(smoke, images, tmp_path / "run")
    monkeypatch.undo()
    loop.pretrain(smoke, images, tmp_path / "run", Options(resume=True))
    assert_same(unbroken, tmp_path / "run")


def test_full_disk_keeps_the_previous_checkpoint(unbroken, images, smoke, tmp_path, monkeypatch):
    write = checkpoint._write

    def write_until_full(content, path):
        if content["step"] == 3:
            return write(content, path)
        path.write_bytes(b"the part that fitted")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "_write", write_until_full)
    with pytest.raises(GoodviewsError, match=r"step 6 could not be written .*No space left.* is still in .*--resume"):
        loop.pretrain(smoke, images, tmp_path / "run", Options(save_every=3))
    monkeypatch.undo()
    assert state(tmp_path / "run")["step"] == 3
    assert [path.name for path in (tmp_path / "run" / "state").iterdir()] == [checkpoint.FILE]
    loop.pretrain(smoke, images, tmp_path / "run", Options(save_every=3, resume=True))
    assert_same(unbroken, tmp_path / "run")


def test_resuming_removes_the_checkpoint_that_a_killed_process_did_not_finish(images, smoke, tmp_path):
    loop.pretrain(smoke, images, tmp_path / "run", Options(workers=0))
    unfinished = tmp_path / "run" / "state" / f"{checkpoint.FILE}.partial"
    unfinished.write_bytes(b"half of one")
    loop.pretrain(smoke, images, tmp_path / "run", Options(workers=0, resume=True))
    assert not unfinished.exists()


def test_damaged_checkpoint_is_refused(images, smoke, tmp_path, monkeypatch):
    run = tmp_path / "run"
    monkeypatch.setattr(loop, "_learn", lambda run, stop: None)
    loop.pretrain(smoke, images, run)
    (run / "state").mkdir()
    (run / "state" / checkpoint.FILE).write_bytes(b"half a file")
    with pytest.raises(ArtifactError, match=r"cannot be read .*--overwrite"):
        loop.pretrain(smoke, images, run, Options(resume=True))


class Killed(Exception):
    """Stands for a kill, in a test that stays in its process."""


@pytest.mark.parametrize("name", ["simclr", "byol", "swav", "pirl", "cmc_v2", "supervised", "pcl_v1"])
def test_every_kind_of_state_is_continued_bit_for_bit(name, images, tmp_path, monkeypatch):
    """LARS's momentum, a target's schedule, prototypes and a late queue, a bank, clusters: killed after step 5 of 8."""
    recipe = replace(choose(f"{name}_smoke"), architecture="test_resnet", epochs=2)
    loop.pretrain(recipe, images, tmp_path / "unbroken", Options(save_every=3, knn_every=0))
    step = loop._step

    def step_or_die(run, batch):
        if run.state.step == 5:
            raise Killed
        return step(run, batch)

    monkeypatch.setattr(loop, "_step", step_or_die)
    with pytest.raises(Killed):
        loop.pretrain(recipe, images, tmp_path / "run", Options(save_every=3, knn_every=0))
    monkeypatch.undo()
    assert state(tmp_path / "run")["step"] == 3
    loop.pretrain(recipe, images, tmp_path / "run", Options(save_every=3, knn_every=0, resume=True))
    before, after = (dict(flat(state(tmp_path / run))) for run in ("unbroken", "run"))
    assert before.keys() == after.keys()
    for leaf in (leaf for leaf in before if not leaf.startswith(".monitor")):
        same = torch.equal if isinstance(before[leaf], torch.Tensor) else operator.eq
        assert same(before[leaf], after[leaf]), leaf
    assert metrics(tmp_path / "unbroken") == metrics(tmp_path / "run")
    weights = [(tmp_path / run / "encoder" / "model.safetensors").read_bytes() for run in ("unbroken", "run")]
    assert weights[0] == weights[1]


def flat(value, path=""):
    """Every leaf of nested dictionaries and lists, with its path."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from flat(item, f"{path}.{key}")
    else:
        yield path, value
