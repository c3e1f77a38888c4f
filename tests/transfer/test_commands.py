import copy
from pathlib import Path

import pytest
import torch

from goodviews.hub import cli
from goodviews.hub.artifact import save
from goodviews.hub.errors import ArtifactError, DataError, OutputExists, UsageError
from goodviews.hub.reports.report import load_report
from goodviews.transfer import commands
from goodviews.transfer.registry import find_task
from goodviews.transfer.task import Setup, Task


@pytest.fixture
def encoder_folder(encoder, tmp_path):
    return str(save(encoder, tmp_path / "encoder"))


def test_transfer_then_compare_says_where_the_results_are(encoder_folder, colours, tmp_path, capsys):
    for task in ("knn", "linear"):
        commands.transfer(task, encoder=encoder_folder, data=colours, out=tmp_path / task, device="cpu")
    assert "100.00" in capsys.readouterr().out
    assert load_report(tmp_path / "knn" / "report.json").encoder.architecture == "resnet18"
    commands.compare([tmp_path / "knn", tmp_path / "linear"], out=tmp_path / "both", baseline="random:resnet18@0")
    printed = capsys.readouterr().out
    assert "cannot be compared" in " ".join(printed.split())
    assert "comparison.html" in printed
    assert (tmp_path / "both" / "comparison.html").is_file()


def test_compared_reports_join_the_encoder_they_are_of_and_no_other(encoder_folder, encoder, colours, tmp_path):
    other = copy.deepcopy(encoder)
    with torch.no_grad():
        other.backbone.conv1.weight.neg_()
    theirs = save(other, tmp_path / "other")
    for name, folder in (("ours", encoder_folder), ("theirs", str(theirs))):
        commands.transfer("knn", encoder=folder, data=colours, out=tmp_path / name, device="cpu")
    runs = [tmp_path / "ours", tmp_path / "theirs"]
    commands.compare(runs, out=tmp_path / "both", attach=[Path(encoder_folder)])
    (file,) = (Path(encoder_folder) / "reports").glob("*.json")
    assert load_report(file) == load_report(tmp_path / "ours" / "report.json")
    assert not (theirs / "reports").exists()
    with pytest.raises(DataError, match="No report is of the weights in"):
        commands.compare(runs[:1], out=tmp_path / "again", attach=[theirs])
    assert not (tmp_path / "again").exists()


def test_options_of_a_run_are_read_into_one_value(encoder_folder, colours, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(Task, "run", lambda *_args, **options: seen.append(options) or pytest.fail("far enough"))
    words = ["transfer", "knn", "--encoder", encoder_folder, "--data", str(colours), "--out", str(tmp_path / "run")]
    options = [
        "--seed",
        "3",
        "--cache",
        "kept",
        "--engine",
        "torchvision",
        "--evaluate-every",
        "50",
        "--save-every-s",
        "60",
        "--device",
        "cpu",
    ]
    with pytest.raises(pytest.fail.Exception, match="far enough"):
        cli.run([*words, *options])
    wanted = Setup(seed=3, cache=Path("kept"), engine="torchvision", evaluate_every=50, save_every_s=60, progress=True)
    assert seen == [{"setup": wanted, "overwrite": False}]


@pytest.mark.parametrize(
    ("option", "number", "least"),
    [("batch-size", 0, 1), ("workers", -1, 0), ("processes", 0, 1), ("save-every-s", -1, 0), ("evaluate-every", -1, 0)],
)
def test_numbers_that_are_too_small_are_refused_by_their_option(option, number, least, colours, tmp_path):
    words = ["transfer", "knn", "--encoder", "e", "--data", str(colours), "--out", str(tmp_path / "run")]
    with pytest.raises(UsageError, match=f"^--{option} is {number}; it must be {least} or more.$"):
        cli.run([*words, f"--{option}={number}"])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"task": "k-nn"}, UsageError, "There is no task k-nn; there is knn; `goodviews tasks` lists all"),
        ({"encoder": "nowhere/encoder"}, ArtifactError, "nowhere/encoder"),
        ({"data": "nowhere/data"}, DataError, "nowhere/data is not a folder"),
        ({"device": "abacus"}, UsageError, "--device abacus"),
    ],
    ids=lambda value: str(next(iter(value))) if isinstance(value, dict) else "",
)
def test_bad_requests_end_in_a_sentence_and_write_nothing(changes, error, message, encoder_folder, colours, tmp_path):
    request = {"task": "knn", "encoder": encoder_folder, "data": colours, "device": "cpu", **changes}
    request["data"] = type(tmp_path)(request["data"])
    with pytest.raises(error, match=message):
        commands.transfer(request.pop("task"), out=tmp_path / "out" / "run", **request)
    assert not (tmp_path / "out" / "run").exists()


def test_existing_outputs_are_refused_before_any_work(encoder_folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    with pytest.raises(OutputExists):
        commands.transfer("knn", encoder="nowhere", data=tmp_path / "nowhere", out=out)
    with pytest.raises(OutputExists):
        commands.compare([tmp_path / "nowhere"], out=out)


@pytest.mark.parametrize(
    ("task", "change", "message"),
    [
        ("knn", "k=0", "k is 0; it must be a number above 0"),
        ("knn", "temperature=0", "temperature is 0.0"),
        ("linear", "l2=[0.1,0]", r"l2 is \[0.1, 0.0\]; it must be numbers above 0"),
        ("linear-moco", "epochs=0", "epochs is 0"),
        ("linear-cached", "batch_size=-1", "batch_size is -1"),
        ("finetune", "layer_lr=0", "layer_lr is 0.0"),
        ("retrieval", "k=5", "ClassRetrieval has no field k; it has at"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_sentence(task, change, message, encoder, colours, tmp_path):
    with pytest.raises(UsageError, match=message):
        find_task(task).with_changes([change]).run(encoder, colours, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_batch_that_would_undo_other_settings_is_refused(tmp_path):
    request = {"encoder": "nowhere", "data": tmp_path, "out": tmp_path / "run", "setup": Setup(batch_size=2)}
    for task, change in (("voc-detection-smoke", "iterations=3"), ("linear-moco", "lr=1"), ("finetune", "layer_lr=1")):
        field = change.partition("=")[0]
        with pytest.raises(UsageError, match=f"--batch-size changes {field} in proportion, which --set gives too"):
            commands.transfer(task, set=[change], **request)
    with pytest.raises(ArtifactError, match="nowhere"):  # there it cuts photos that are encoded
        commands.transfer("linear-cached", set=["batch_size=8"], **request)


def test_a_setting_that_is_given_twice_is_refused():
    with pytest.raises(UsageError, match=r"^k is given 2 times, by --set or by an option of its own; give it once\.$"):
        find_task("knn").with_changes(["k=5", "k=6"])


def test_settings_of_detectors_that_cannot_be_are_refused_by_the_check_too(tmp_path):
    with pytest.raises(UsageError, match="c4 trunk cannot have the box head '4conv1fc'"):
        commands.transfer("coco-fpn-1x-smoke", set=["trunk=c4"], data=tmp_path, check=True)
    with pytest.raises(UsageError, match="boxes and no masks"):
        commands.transfer("voc-detection", set=["masks=true"], data=tmp_path, check=True)
    with pytest.raises(UsageError, match="iterations is 0; it must be a number above 0"):
        commands.transfer("voc-detection", set=["iterations=0"], data=tmp_path, check=True)
