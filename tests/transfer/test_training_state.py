"""A state continues a training; what cannot be continued from is refused with the file's name."""

from pathlib import Path

import pytest
import torch
from torch import nn

from goodviews.hub.errors import ArtifactError
from goodviews.transfer.classification.epochs import train_epochs
from goodviews.transfer.training_state import TrainingState, show_rows, state_path


def layer(value: float) -> nn.Linear:
    made = nn.Linear(2, 1)
    nn.init.constant_(made.weight, value)
    return made


def test_parts_and_rows_come_back_as_they_were_saved(tmp_path: Path):
    path, rows = tmp_path / "cache" / "state.pt", [{"epoch": 1, "loss": 0.5}]
    TrainingState(path, {"layer": layer(3.0)}, every_s=0.0).save_if_due(rows)
    other = layer(0.0)
    assert TrainingState(path, {"layer": other}).restore() == rows
    assert other.weight.tolist() == [[3.0, 3.0]]


def test_nothing_is_saved_before_its_time_or_without_a_file(tmp_path: Path):
    TrainingState(tmp_path / "state.pt", {"layer": layer(3.0)}, every_s=60.0).save_if_due([{"loss": 1.0}])
    TrainingState(None, {"layer": layer(3.0)}, every_s=0.0).save_if_due([{"loss": 1.0}])
    assert list(tmp_path.iterdir()) == []
    assert TrainingState(None, {}).restore() == TrainingState(tmp_path / "state.pt", {}).restore() == []


def test_the_last_state_is_saved_whatever_the_interval(tmp_path: Path):
    path, epochs = tmp_path / "state.pt", []

    def one_epoch(epoch: int) -> dict[str, float]:
        epochs.append(epoch)
        return {"loss": 1.0}

    for _ in range(2):
        rows = train_epochs(one_epoch, 3, {"layer": layer(3.0)}, state=path, save_every_s=3600)
        assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert epochs == [0, 1, 2]  # the second call found everything done


def test_rows_of_before_a_stop_are_shown_to_tensorboard_too(tmp_path: Path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with show_rows(tmp_path, [{"iteration": 1, "loss": 0.5}], "iteration") as show:
        show({"iteration": 2, "loss": 0.25})
    events = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(one.step, one.value) for one in events.Scalars("loss")] == [(1, 0.5), (2, 0.25)]


def test_a_detectors_state_of_the_first_version_is_continued_from(tmp_path: Path):
    torch.save({"rows": [{"iteration": 2}], "network": layer(3.0).state_dict()}, tmp_path / "state.pt")
    network = layer(0.0)
    assert TrainingState(tmp_path / "state.pt", {"network": network}).restore() == [{"iteration": 2}]
    assert network.weight.tolist() == [[3.0, 3.0]]


@pytest.mark.parametrize("content", [b"", b"PK", {"rows": []}, {"rows": [], "parts": {"layer": {}}}])
def test_a_file_that_is_no_state_of_this_training_is_refused(tmp_path: Path, content):
    path = tmp_path / "state.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ArtifactError, match=r"state\.pt cannot be continued from .*; delete it to start the run again"):
        TrainingState(path, {"layer": layer(0.0)}).restore()


def test_other_work_has_another_file(tmp_path: Path):
    one, other = (state_path(tmp_path, "linear", [{"lr": 0.1}, seed]) for seed in (0, 1))
    assert one != other
    assert one == state_path(tmp_path, "linear", [{"lr": 0.1}, 0])
    assert state_path(None, "linear", []) is None
