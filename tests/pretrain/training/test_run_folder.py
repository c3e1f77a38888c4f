"""A RUN folder that many people share: one writer, and a record of who ran what."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from goodviews.hub.artifact import load, read_config
from goodviews.hub.errors import Busy, UsageError
from goodviews.hub.files.locks import sole_writer
from goodviews.pretrain.options import Options
from goodviews.pretrain.training import loop

USUAL = {"precision": "fp32", "knn_every": 0}


@pytest.fixture(scope="module")
def run(images, smoke, tmp_path_factory) -> Path:
    """Of two epochs, with snapshots and a licence."""
    out = tmp_path_factory.mktemp("runs") / "run"
    loop.pretrain(smoke, images, out, Options(**USUAL, snapshot_every=1, licence="cc-by-4.0"))
    return out


def about(run: Path) -> dict:
    return json.loads((run / "recipe.json").read_text())


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


HOLDER = """
import sys
from pathlib import Path
from goodviews.hub.files.locks import sole_writer
with sole_writer(Path(sys.argv[1])):
    print("here", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("option", [{}, {"overwrite": True}, {"resume": True}, {"resume": "auto"}])
def test_a_second_run_is_told_who_holds_the_folder_and_changes_nothing(option, run, images, smoke):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(run)], **pipes, text=True)
    holder.stdout.readline()
    with pytest.raises(Busy, match=rf"run is being written by process {holder.pid} on .*, since 20.* UTC; wait"):
        loop.pretrain(smoke, images, run, Options(**USUAL, seed=1, **option))
    holder.communicate("", timeout=60)
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*")}


def test_a_run_holds_its_folder_until_it_ends(images, smoke, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(loop, "_learn", lambda run, stop: seen.extend(path.name for path in tmp_path.iterdir()))
    loop.pretrain(smoke, images, tmp_path / "run", Options(**USUAL))
    assert sorted(seen) == [".run.writer.lock", "run"]
    with sole_writer(tmp_path / "run"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_recipe_json_says_when_by_which_command_and_by_how_many_processes(run):
    found = about(run)
    assert found["started"].startswith("20")
    assert found["command"]
    assert found["processes"] == 1
    assert "data_path" not in found


def test_absolute_paths_are_recorded_on_request_only(images, smoke, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_learn", lambda run, stop: None)
    monkeypatch.setattr(sys, "argv", ["goodviews", "pretrain", "x", "--data", str(images), f"--out={tmp_path / 'a'}"])
    loop.pretrain(smoke, images, tmp_path / "plain", Options(**USUAL))
    loop.pretrain(smoke, images, tmp_path / "whole", Options(**USUAL, record_paths=True))
    assert about(tmp_path / "plain")["command"] == "goodviews pretrain x --data images --out=a"
    assert str(tmp_path) not in (tmp_path / "plain" / "recipe.json").read_text()
    assert about(tmp_path / "whole")["command"] == f"goodviews pretrain x --data {images} --out={tmp_path / 'a'}"
    assert about(tmp_path / "whole")["data_path"] == str(images)


def test_a_resumption_is_recorded_with_its_own_command(images, smoke, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_learn", lambda run, stop: None)
    loop.pretrain(smoke, images, tmp_path / "run", Options(**USUAL))
    monkeypatch.setattr(sys, "argv", ["goodviews", "again"])
    loop.pretrain(smoke, images, tmp_path / "run", Options(**USUAL, resume=True))
    first, (second,) = about(tmp_path / "run"), about(tmp_path / "run")["resumed"]
    assert first["command"] != second["command"] == "goodviews again"
    assert second["started"] >= first["started"]


def test_snapshots_stay_along_the_run(run):
    names = sorted(path.name for path in (run / "snapshots").iterdir())
    assert names == ["encoder-0001", "encoder-0002"]
    assert load(run / "snapshots" / "encoder-0001").origin.epochs == 1
    assert weights(run / "snapshots" / "encoder-0001") != weights(run / "encoder")
    assert weights(run / "snapshots" / "encoder-0002") == weights(run / "encoder")


def test_the_licence_of_the_weights_reaches_the_card_and_is_kept_when_the_run_goes_on(run, images, smoke, tmp_path):
    assert "license: cc-by-4.0" in (run / "encoder" / "README.md").read_text()
    copy = shutil.copytree(run, tmp_path / "run")
    longer = replace(smoke, epochs=3)
    loop.pretrain(longer, images, copy, Options(**USUAL, resume=True))
    assert read_config(copy / "encoder")["goodviews"]["licence"] == "cc-by-4.0"
    with pytest.raises(UsageError, match=r"--licence is 'Apache License, 2.0'; give its short name"):
        loop.pretrain(smoke, images, tmp_path / "other", Options(**USUAL, licence="Apache License, 2.0"))


def test_snapshots_count_epochs_from_one(images, smoke, tmp_path):
    with pytest.raises(UsageError, match=r"--snapshot-every is 0; it counts epochs, from 1"):
        loop.pretrain(smoke, images, tmp_path / "run", Options(**USUAL, snapshot_every=0))


def test_a_finished_run_that_is_resumed_keeps_what_lies_beside_its_encoder(run, images, smoke, tmp_path, caplog):
    caplog.set_level("INFO")
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "encoder" / "reports").mkdir()
    for resume in (True, "auto"):
        loop.pretrain(smoke, images, copy, Options(**USUAL, resume=resume))
        assert (copy / "encoder" / "reports").is_dir()
    assert "all 8 steps are done; nothing is left to do" in caplog.text
    shutil.rmtree(copy / "encoder")
    loop.pretrain(smoke, images, copy, Options(**USUAL, resume=True))
    assert weights(copy / "encoder") == weights(run / "encoder")


def test_what_a_killed_run_left_inside_is_removed_by_the_next(run, images, smoke, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / ".recipe.json.abc.partial").write_text("{")
    (copy / ".encoder.abc.partial").mkdir()
    (copy / ".encoder.abc.partial" / ".goodviews").write_text("")
    os.utime(copy / "recipe.json")
    loop.pretrain(smoke, images, copy, Options(**USUAL, resume=True))
    assert [path.name for path in copy.iterdir() if path.name.endswith((".partial", ".old", ".lock"))] == []
