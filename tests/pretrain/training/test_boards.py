"""Where a run's figures are shown beside metrics.jsonl, the gradient's length among them, and --profile."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from goodviews.hub.errors import MissingExtra, UsageError
from goodviews.hub.output.boards import open_boards, require_boards
from goodviews.pretrain.options import Options
from goodviews.pretrain.training import loop

OPTIONS = Options(precision="fp32", knn_every=0)


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def small(smoke):
    return replace(smoke, architecture="test_resnet", epochs=2)


def test_run_writes_down_the_length_of_its_gradients_and_traces_the_steps_that_are_asked_for(small, images, tmp_path):
    loop.pretrain(small, images, tmp_path / "run", replace(OPTIONS, profile=2))
    assert all(line["grad_norm"] > 0 for line in lines(tmp_path / "run"))
    trace = json.loads((tmp_path / "run" / "profile" / "steps-6-7.json").read_text())
    assert sum(event.get("name", "").startswith("ProfilerStep#") for event in trace["traceEvents"]) == 2


def test_profile_counts_steps_from_one(small, images, tmp_path):
    with pytest.raises(UsageError, match=r"--profile is 0; it counts steps, from 1"):
        loop.pretrain(small, images, tmp_path / "run", replace(OPTIONS, profile=0))


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_board_whose_library_is_missing_is_named_before_a_run(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=rf"--log {name}"):
        require_boards([name])


class Wandb:
    """As much of the library as is called."""

    Error = RuntimeError

    def __init__(self) -> None:
        self.begun: list[dict[str, Any]] = []
        self.logged: list[dict[str, Any]] = []

    def init(self, **words: Any) -> "Wandb":
        self.begun.append(words)
        return self

    def define_metric(self, name: str, step_metric: str) -> None:
        assert (name, step_metric) == ("*", "step")

    def log(self, numbers: dict[str, Any]) -> None:
        self.logged.append(numbers)

    def finish(self) -> None:
        self.logged.append({"finished": 1})


def test_lines_go_to_weights_and_biases_and_a_resumed_run_goes_on_with_the_same_one(monkeypatch, tmp_path):
    wandb = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    for _ in range(2):
        boards = open_boards(["wandb", "wandb"], tmp_path, {"seed": 1}, step=0)
        boards.write({"step": 3, "loss": 0.5, "note": "a word", "bad": float("nan")})
        boards.close()
    assert wandb.logged == 2 * [{"step": 3, "loss": 0.5}, {"finished": 1}]
    first, second = wandb.begun
    assert first == second
    assert (first["resume"], first["config"], first["name"]) == ("allow", {"seed": 1}, tmp_path.name)


@pytest.mark.slow
def test_run_is_shown_by_mlflow(small, images, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path / 'server'}")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    loop.pretrain(small, images, tmp_path / "run", replace(OPTIONS, log=["mlflow"]))
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("goodviews").experiment_id])
    assert run.info.status == "FINISHED"
    shown = client.get_metric_history(run.info.run_id, "loss")
    assert [(one.step, one.value) for one in shown] == [
        (line["step"], line["loss"]) for line in lines(tmp_path / "run")
    ]


@pytest.mark.slow
def test_run_is_shown_by_wandb_without_a_network(small, images, tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    loop.pretrain(small, images, tmp_path / "run", replace(OPTIONS, log=["wandb"]))
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))
