"""Probes and fine-tuning in bf16: features are float32, the report says so, and nothing is mixed with fp32."""

import json

import numpy as np
import pytest
import torch

from goodviews.hub import machine
from goodviews.hub.errors import UsageError
from goodviews.hub.images import SkippedImages
from goodviews.transfer.classification.encode_photos import encode_photos
from goodviews.transfer.precision import faster_layout, resolve_precision
from goodviews.transfer.registry import TASKS, find_task
from goodviews.transfer.resume import finished_report
from goodviews.transfer.task import Setup

TAKE_IT = ["linear-pycontrast", "linear-moco", "linear-clsa", "linear-simclr"]
TAKE_IT += ["finetune", "finetune-1pct", "finetune-10pct", "voc07-clsa"]


@pytest.mark.precision
@pytest.mark.parametrize(("pretended", "chosen"), [("1", "bf16"), ("0", "fp32")])
def test_auto_is_bf16_where_the_hardware_multiplies_it(pretended, chosen, monkeypatch):
    monkeypatch.setenv(machine.PRETEND, pretended)
    assert resolve_precision("auto", torch.device("cpu")) == chosen
    assert resolve_precision("fp32", "cpu") == "fp32"


def test_published_probes_and_fine_tuning_take_a_precision_and_other_tasks_refuse_it(encoder, colours, tmp_path):
    assert [name for name, make in TASKS.items() if make().takes_precision] == TAKE_IT
    with pytest.raises(UsageError, match=r"^knn computes in fp32; leave out --precision\.$"):
        find_task("knn").run(encoder, colours, tmp_path / "run", setup=Setup(precision="bf16"))


@pytest.mark.parametrize("name", ["linear-clsa", "finetune"])
def test_bf16_is_another_protocol_and_leaves_the_encoder_as_it_is(name, encoder, colours, tmp_path):
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    task = find_task(name).with_changes(["epochs=1"])
    reports = {
        precision: task.run(encoder, colours, tmp_path / precision, setup=Setup(batch_size=6, precision=precision))
        for precision in ("fp32", "bf16")
    }
    assert [report.details["precision"] for report in reports.values()] == ["fp32", "bf16"]
    assert "precision" not in reports["fp32"].protocol.settings
    assert reports["bf16"].protocol.settings["precision"] == "bf16"
    losses = [json.loads((tmp_path / one / "metrics.jsonl").read_text())["loss"] for one in reports]
    assert losses[0] != losses[1] == pytest.approx(losses[0], rel=0.2)
    assert all(value.is_contiguous() and torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_features_in_bf16_are_float32_near_those_in_fp32(spread_encoder, gallery):
    vectors = [
        encode_photos(spread_encoder, gallery, Setup(precision=precision), SkippedImages())
        for precision in ("fp32", "bf16")
    ]
    assert vectors[1].dtype == np.float32
    assert not np.array_equal(*vectors)
    assert np.abs(vectors[0] - vectors[1]).max() < 0.05 * np.abs(vectors[0]).max()


def test_features_and_results_of_one_precision_are_none_of_the_other(encoder, colours, tmp_path):
    task = find_task("linear-clsa").with_changes(["epochs=1"])
    for precision in ("fp32", "bf16"):
        task.run(encoder, colours, tmp_path / precision, setup=Setup(cache=tmp_path / "cache", precision=precision))
    assert len(list((tmp_path / "cache").glob("val-*.npz"))) == 2
    assert len(list((tmp_path / "cache").glob("linear-*.pt"))) == 2
    setups = [Setup(resume="auto", precision=precision) for precision in ("fp32", "bf16")]
    found = [finished_report(tmp_path / "bf16", task, encoder, setup) for setup in setups]
    assert [report is not None for report in found] == [False, True]


def test_weights_of_fp32_on_a_cpu_stay_in_their_order_and_those_of_bf16_change_it_for_a_while(encoder):
    weight = encoder.backbone.layer1[0].conv1.weight
    with faster_layout(encoder, "fp32"):
        assert weight.is_contiguous()
    with faster_layout(encoder, "bf16"):
        assert weight.is_contiguous(memory_format=torch.channels_last)
    assert weight.is_contiguous()
