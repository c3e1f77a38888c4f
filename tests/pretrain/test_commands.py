"""The commands as a user types them."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest

from goodviews.hub import cli
from goodviews.hub.errors import UsageError
from goodviews.pretrain.options import Options
from goodviews.pretrain.training import loop, online_knn

OWN_FILE = """
from pathlib import Path
from goodviews.pretrain.recipes.moco import moco_v2_smoke

def mine():
    with (Path(__file__).parent / "calls").open("a") as calls:
        calls.write("mine\\n")
    return moco_v2_smoke()
"""


@pytest.mark.precision
def test_pretrain_prints_what_was_resolved_and_where_the_results_are(images, tmp_path, capsys):
    words = [
        "pretrain",
        "infomin_smoke",
        "--data",
        images,
        "--out",
        tmp_path / "run",
        "--workers",
        0,
        "--batch-size",
        8,
    ]
    words += ["--set", "architecture=test_resnet", "--set", "optimizer.lr=0.05", "--knn-every", 0]
    cli.run([str(word) for word in words])
    printed = capsys.readouterr().out
    assert "optimizer\tSgd: lr 0.05, momentum 0.9, weight decay 0.0001" in printed
    assert "Learning rate 0.05 for a batch of 8, not scaled." in printed
    assert f"Encoder: {tmp_path / 'run' / 'encoder'}" in printed.splitlines()
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["recipe"]["batch_size"] == 8


def test_the_learning_rate_of_a_changed_batch_is_pointed_out_or_scaled(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(loop, "pretrain", lambda *_, announce, **__: announce() or tmp_path / "none")
    words = ["pretrain", "infomin_smoke", "--data", "photos", "--out", str(tmp_path / "run"), "--batch-size", "64"]
    cli.run(words)
    assert "The recipe's is for 4; in proportion, 0.48: --scale-lr." in capsys.readouterr().out
    cli.run([*words, "--scale-lr"])
    printed = capsys.readouterr().out
    assert "Learning rate 0.48 for a batch of 64: the recipe's 0.03 for 4, scaled." in printed
    assert "lr 0.48" in printed
    with pytest.raises(UsageError, match=r"both decide the learning rate"):
        cli.run([*words, "--scale-lr", "--set", "optimizer.lr=1"])


@pytest.mark.precision
def test_nothing_is_printed_before_an_error(images, tmp_path, capsys):
    words = ["pretrain", "infomin_smoke", "--data", images, "--out", tmp_path / "run", "--batch-size", 64]
    with pytest.raises(UsageError, match=r"takes 64 images"):
        cli.run([str(word) for word in words])
    assert capsys.readouterr() == ("", "")


@pytest.mark.precision
def test_few_photos_and_an_end_below_the_start_are_said(images, tmp_path, caplog, monkeypatch):
    scores = iter([90.0, 10.0])
    monkeypatch.setattr(online_knn.OnlineKnn, "__call__", lambda *_: next(scores))
    words = ["pretrain", "infomin_smoke", "--data", images, "--out", tmp_path / "run", "--workers", 0]
    cli.run([str(word) for word in [*words, "--set", "architecture=test_resnet"]])
    assert "photos are few to start from random weights" in caplog.text
    assert "the encoder ends below its start: online kNN 10.0 %, and 90.0 % before the first step." in caplog.text


def test_options_reach_the_run_as_one_value_and_a_user_s_file_runs_once(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        loop, "pretrain", lambda *given, observe, start, announce: seen.append(given) or tmp_path / "none"
    )
    (tmp_path / "mine.py").write_text(OWN_FILE)
    words = ["pretrain", f"{tmp_path / 'mine.py'}:mine", "--data", "photos", "--out", str(tmp_path / "run")]
    words += ["--epochs", "3", "--seed", "7", "--keep", "disk", "--keep-px", "160", "--continue-from", "parent"]
    cli.run([*words, "--accumulate", "2", "--tensorboard", "--resume"])
    ((recipe, data, out, options),) = seen
    assert (recipe.epochs, data, out) == (3, "photos", tmp_path / "run")
    assert options == Options(
        workers=options.workers,
        seed=7,
        keep="disk",
        keep_px=160,
        continue_from=Path("parent"),
        accumulate=2,
        tensorboard=True,
        resume=True,
    )
    assert 1 <= options.workers <= 16
    assert (tmp_path / "calls").read_text() == "mine\n"


def test_every_option_is_explained():
    explained = {line.split(":")[0].strip() for line in (Options.__doc__ or "").splitlines() if line[:8].isspace()}
    assert {field.name for field in fields(Options)} <= explained


def test_module_runs_the_command_and_fails_with_one_sentence(tmp_path):
    words = [
        sys.executable,
        "-m",
        "goodviews.pretrain",
        "infomin_smoke",
        "--data",
        tmp_path / "none",
        "--out",
        tmp_path,
    ]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.precision
def test_signal_to_the_whole_process_group_ends_in_a_saved_run(images, tmp_path):
    """As Ctrl-C in a terminal does it: the loader's workers get the signal too."""
    run = tmp_path / "run"
    words = [sys.executable, "-m", "goodviews.pretrain", "infomin_smoke", "--data", images, "--out", run]
    words += ["--workers", "2", "--set", "architecture=test_resnet", "--epochs", "200", "--knn-every", "0"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    started = subprocess.Popen(words, **quiet, text=True, start_new_session=True)
    while not (run / "metrics.jsonl").exists() and started.poll() is None:
        time.sleep(0.1)
    os.killpg(started.pid, signal.SIGINT)
    _, errors = started.communicate(timeout=60)
    assert started.returncode == 1
    assert "Stopped by SIGINT after step" in errors
    assert "--resume" in errors
    assert (run / "state" / "checkpoint.pt").is_file()
    assert (run / "encoder" / "model.safetensors").is_file()
