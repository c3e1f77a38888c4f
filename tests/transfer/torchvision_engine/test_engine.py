"""Training a detector is a function of its inputs, and the task leaves what it measured and the detector."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from goodviews.hub.backbone import build_backbone
from goodviews.hub.encoder import Encoder, Origin, Preprocessing
from goodviews.hub.errors import ArtifactError, DataError, GoodviewsError, UsageError
from goodviews.transfer.datasets.labelled_photos import LabelledObject, LabelledPhoto, read_photo
from goodviews.transfer.datasets.photo_table import PhotoTable, pack
from goodviews.transfer.datasets.voc import read_voc
from goodviews.transfer.detection import training_loop
from goodviews.transfer.detection.load_detector import load_detector
from goodviews.transfer.detection.settings import DetectionSettings
from goodviews.transfer.detection.voc import VocDetection, voc_detection, voc_detection_smoke
from goodviews.transfer.evaluation.voc_matching import to_voc_form
from goodviews.transfer.task import Setup, Task
from goodviews.transfer.torchvision_engine import training as engine
from goodviews.transfer.torchvision_engine.network import build_detector

PUBLISHED = DetectionSettings()
TINY = replace(
    voc_detection_smoke().measure,
    iterations=4,
    lr_steps=(3,),
    warmup_iterations=2,
    batch_size=2,
    precise_bn_iterations=2,
    short_sides_px=(48, 64),
    test_short_side_px=64,
)
PYRAMID = replace(TINY, iterations=2, trunk="fpn", box_head="2fc", masks=True, mask_roi_px=4)
NETWORKS = {
    "c4": TINY,
    "c4 with masks": replace(TINY, masks=True),
    "standard pyramid": PYRAMID,
    "InfoMin's pyramid": replace(PYRAMID, box_head="4conv1fc", head_norm=True),
}


@pytest.fixture(scope="module")
def small() -> Encoder:
    return small_encoder()


def small_encoder() -> Encoder:
    """timm's ResNet for tests: four stages of one block, 32 to 96 channels."""
    torch.manual_seed(0)
    return Encoder(build_backbone("test_resnet"), Preprocessing(), Origin("random:test_resnet@0"))


def tiny_task() -> Task:
    return replace(voc_detection_smoke(), name="tiny", measure=TINY)


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def tiny_detector(encoder: Encoder, settings: DetectionSettings = TINY) -> nn.Module:
    torch.manual_seed(0)
    return build_detector(encoder.backbone, encoder.preprocessing, 2, settings)


def with_masks(photos: Sequence[LabelledPhoto]) -> PhotoTable:
    """Every object fills its box."""
    return pack(replace(photo, objects=tuple(map(_filled, photo.objects))) for photo in photos)


def _filled(thing: LabelledObject) -> LabelledObject:
    xmin, ymin, xmax, ymax = thing.box
    return replace(thing, mask=((xmin, ymin, xmax, ymin, xmax, ymax, xmin, ymax),))


@pytest.mark.parametrize("settings", NETWORKS.values(), ids=NETWORKS)
def test_training_changes_everything_and_leaves_the_encoder_alone(small: Encoder, devkit: Path, settings):
    voc, before = read_voc(devkit), weights(small.backbone)
    network = tiny_detector(small, settings)
    start = weights(network)
    rows = engine.fine_tune(network, with_masks(voc.train), voc.classes, settings, seed=0)
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4][: settings.iterations]
    assert rows[0]["loss"] == pytest.approx(sum(rows[0][name] for name in rows[0] if name.startswith("loss_")))
    trained = {name for name, value in network.named_parameters() if not torch.equal(value, start[name])}
    assert trained == {name for name, _ in network.named_parameters()}
    assert all(torch.equal(value, before[name]) for name, value in small.backbone.state_dict().items())
    assert ("loss_mask" in rows[0]) == settings.masks
    trunk = network.backbone if settings.trunk == "c4" else network.backbone.body
    assert trunk.bn1.num_batches_tracked == settings.precise_bn_iterations
    assert trunk.bn1.momentum == 0.1


def test_a_stopped_run_continues_as_if_it_had_not_stopped(small: Encoder, devkit: Path, tmp_path: Path, monkeypatch):
    voc, state = read_voc(devkit), tmp_path / "state.pt"
    unbroken = tiny_detector(small)
    engine.fine_tune(unbroken, voc.train, voc.classes, TINY, seed=0)

    step, calls = training_loop._step, []

    def stops_at_the_third(*given):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return step(*given)

    monkeypatch.setattr(training_loop, "_step", stops_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        engine.fine_tune(tiny_detector(small), voc.train, voc.classes, TINY, seed=0, state=state, state_every_s=0)
    torch.manual_seed(99)
    continued = build_detector(small.backbone, small.preprocessing, 2, TINY)
    rows = engine.fine_tune(continued, voc.train, voc.classes, TINY, seed=0, state=state)
    assert len(calls) == 5  # 3 before, 2 after
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4]
    assert all(torch.equal(value, unbroken.state_dict()[name]) for name, value in continued.state_dict().items())
    state.write_bytes(b"PK")
    with pytest.raises(ArtifactError, match="cannot be continued from"):
        engine.fine_tune(continued, voc.train, voc.classes, TINY, seed=0, state=state)


def test_a_finished_run_is_scored_again_without_training(small: Encoder, devkit: Path, tmp_path: Path, monkeypatch):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    setup = Setup(cache=tmp_path / "cache", tensorboard=True)
    first = tiny_task().run(small, devkit, tmp_path / "first", setup=setup)
    monkeypatch.setattr(training_loop, "_step", lambda *_given: pytest.fail("it trains"))
    again = tiny_task().run(small, devkit, tmp_path / "again", setup=setup)
    assert again.metrics == first.metrics
    for name in ("detector.safetensors", "metrics.jsonl"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "first" / name).read_bytes()
    events = event_accumulator.EventAccumulator(str(tmp_path / "again" / "tensorboard"))
    events.Reload()
    assert [one.step for one in events.Scalars("loss")] == [1, 2, 3, 4]


def test_a_loss_that_is_no_number_stops_the_run(small: Encoder, devkit: Path):
    network = tiny_detector(small)
    nn.init.constant_(network.roi_heads.box_predictor.bbox_pred.bias, float("inf"))
    with pytest.raises(GoodviewsError, match="training diverged"):
        engine.fine_tune(network, read_voc(devkit).train, ("blue", "red"), TINY, seed=0)


def test_the_task_leaves_a_report_and_a_detector_that_finds_the_same_boxes(small: Encoder, devkit: Path, tmp_path):
    out = tmp_path / "run"
    report = tiny_task().run(small, devkit, out, setup=Setup(seed=1))
    names = ["classes.png", "curves.png", "detector.json", "detector.safetensors", "metrics.jsonl"]
    names += ["predictions.json", "report.json", "resamples.csv", "samples.png"]
    assert sorted(path.name for path in out.iterdir() if path.name != ".goodviews") == names
    assert [name for name in report.metrics if "_" not in name] == ["AP50", "AP", "AP75"]
    assert report.dataset["train_images"] == 6
    assert report.dataset["test_objects"] == 6
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 4
    detector = load_detector(out)
    for photo, entry in zip(read_voc(devkit).test, json.loads((out / "predictions.json").read_text()), strict=True):
        boxes, scores = to_voc_form(detector.detect(read_photo(photo)))
        assert entry["photo"] == photo.id
        assert (boxes, scores) == (entry["boxes"], entry["scores"])


KILLED = """
import os, signal, sys
from pathlib import Path
from test_engine import small_encoder, tiny_task
from goodviews.transfer.task import Setup
from goodviews.transfer.training_state import TrainingState

save = TrainingState.save_if_due

def save_and_die(state, rows):
    state.every_s = 0.0
    save(state, rows)
    if rows[-1]["iteration"] == 2:
        os.kill(os.getpid(), signal.SIGKILL)

TrainingState.save_if_due = save_and_die
data, out, cache = map(Path, sys.argv[1:])
tiny_task().run(small_encoder(), data, out, setup=Setup(cache=cache))
"""


@pytest.mark.slow
def test_a_killed_run_that_continues_ends_as_an_unbroken_one(small: Encoder, devkit: Path, tmp_path: Path):
    whole = tiny_task().run(small, devkit, tmp_path / "whole")
    words = [sys.executable, "-c", KILLED, devkit, tmp_path / "killed", tmp_path / "cache"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    killed = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "killed").exists()
    (state,) = (tmp_path / "cache").glob("*.pt")
    assert torch.load(state, weights_only=True)["rows"][-1]["iteration"] == 2
    continued = tiny_task().run(small, devkit, tmp_path / "killed", setup=Setup(cache=tmp_path / "cache"))
    assert continued.metrics == whole.metrics
    for name in ("detector.safetensors", "predictions.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


TOGETHER = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
import torch.distributed as dist
from test_engine import TINY, engine, small_encoder, tiny_detector
from goodviews.transfer.datasets.voc import read_voc

data, folder, rank = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
dist.init_process_group("gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=2)
voc, network = read_voc(data), tiny_detector(small_encoder())
settings = replace(TINY, iterations=2, precise_bn_iterations=0)
rows = engine.fine_tune(network, voc.train, voc.classes, settings, seed=0)
torch.save({"rows": rows, "weights": dict(network.named_parameters())}, folder / f"{rank}.pt")
"""


@pytest.mark.slow
def test_processes_train_one_detector_together(devkit: Path, tmp_path: Path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    words = [sys.executable, "-c", TOGETHER, str(devkit), str(tmp_path)]
    started = [subprocess.Popen([*words, str(rank)], env=environment, stderr=subprocess.PIPE) for rank in (0, 1)]
    ends = [process.communicate(timeout=300)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], ends
    one, other = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(value, other["weights"][name]) for name, value in one["weights"].items())
    assert [row["loss"] for row in one["rows"]] == [row["loss"] for row in other["rows"]]
    alone = tiny_detector(small_encoder())
    assert any(not torch.equal(value, one["weights"][name]) for name, value in alone.named_parameters())


@pytest.mark.slow
def test_command_trains_in_processes_and_scores_between(small: Encoder, devkit: Path, tmp_path: Path):
    setup = Setup(processes=2, evaluate_every=2, cache=tmp_path / "cache")
    report = tiny_task().run(small, devkit, tmp_path / "run", setup=setup)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in rows if "AP50" in row] == [2]
    assert report.protocol.settings["processes"] == 2
    assert any("in 2 x 1" in words for words in report.description["differs_from_published"])
    assert [path.stem[-2:] for path in (tmp_path / "cache").glob("**/*-2.*")] == ["-2"]


def test_scores_between_change_nothing_of_the_training(small: Encoder, devkit: Path, tmp_path: Path):
    runs = {every: tmp_path / f"{every}" for every in (0, 2)}
    for every, run in runs.items():
        tiny_task().run(small, devkit, run, setup=Setup(evaluate_every=every))
    assert (runs[0] / "detector.safetensors").read_bytes() == (runs[2] / "detector.safetensors").read_bytes()


def test_processes_without_a_gpu_each_are_refused(small: Encoder, devkit: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match="where torch sees no GPU"):
        tiny_task().run(small, devkit, tmp_path / "run", setup=Setup(processes=2))


def test_squares_are_learned(small: Encoder, devkit: Path, tmp_path):
    settings = replace(TINY, iterations=40, lr_steps=(32,), warmup_iterations=4, lr=0.02, precise_bn_iterations=4)
    report = replace(tiny_task(), measure=settings).run(small, devkit, tmp_path / "run")
    assert report.metrics["AP50"] > 30  # seeds 0 to 3 gave 56 to 100


def test_a_report_says_how_it_differs_from_the_published_protocol(small: Encoder, devkit: Path, tmp_path):
    assert voc_detection().name == "voc07+12-c4-24k"
    assert voc_detection().measure == VocDetection()
    report = tiny_task().run(small, devkit, tmp_path / "run", setup=Setup(batch_size=1))
    assert report.engine.startswith("torchvision ")
    assert (report.protocol.settings["batch_size"], report.protocol.settings["iterations"]) == (1, 8)
    told = report.description["differs_from_published"]
    assert "iterations 8, published 24000" in told
    assert "train_images 6, published 16551" in told
    assert any("background class" in line for line in told)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("iterations=0", r"iterations is 0; it must be a number above 0\."),
        ("short_sides_px=[0,64]", r"short_sides_px is \[0, 64\]; it must be numbers above 0\."),
        ("trunk=fpn", r"A fpn trunk cannot have the box head 'res5'\."),
        ("head_norm=true", "head_norm is for fpn"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_read(small: Encoder, tmp_path, change, message):
    with pytest.raises(UsageError, match=message):
        tiny_task().with_changes([change]).run(small, tmp_path / "no data", tmp_path / "run")


def test_wrong_data_leaves_nothing_behind(small: Encoder, devkit: Path, tmp_path):
    (devkit / "VOC2007" / "JPEGImages" / "test0.jpg").unlink()
    with pytest.raises(DataError, match=r"test0\.jpg is missing"):
        tiny_task().run(small, devkit, tmp_path / "runs" / "run")
    assert not any((tmp_path / "runs").iterdir())
