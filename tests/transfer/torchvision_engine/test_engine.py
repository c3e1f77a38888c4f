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
from PIL import Image
from torch import nn

from goodviews.hub.backbone import build_backbone
from goodviews.hub.encoder import Encoder, Origin, Preprocessing
from goodviews.hub.errors import ArtifactError, DataError, GoodviewsError, UsageError
from goodviews.transfer.datasets.labelled_photos import LabelledObject, LabelledPhoto, read_photo
from goodviews.transfer.datasets.masks import decode, encode
from goodviews.transfer.datasets.voc import read_voc
from goodviews.transfer.detection import training_loop
from goodviews.transfer.detection.load_detector import load_detector
from goodviews.transfer.detection.photo_batches import batches, resize, trainable_photos
from goodviews.transfer.detection.settings import DetectionSettings, scale_to_batch
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


def with_masks(photos: Sequence[LabelledPhoto]) -> list[LabelledPhoto]:
    """Every object fills its box."""
    return [replace(photo, objects=tuple(map(_filled, photo.objects))) for photo in photos]


def _filled(thing: LabelledObject) -> LabelledObject:
    xmin, ymin, xmax, ymax = thing.box
    return replace(thing, mask=((xmin, ymin, xmax, ymin, xmax, ymax, xmin, ymax),))


# The schedule


def test_learning_rate_warms_up_and_falls_as_published():
    rates = [PUBLISHED.learning_rate(i) for i in (0, 50, 100, 17_999, 18_000, 22_000)]
    assert rates == pytest.approx([0.00002, 0.01001, 0.02, 0.02, 0.002, 0.0002])


@pytest.mark.parametrize(
    ("batch", "lr", "steps", "iterations", "warmup"),
    [(8, 0.01, (36_000, 44_000), 48_000, 200), (2, 0.0025, (144_000, 176_000), 192_000, 800)],
)
def test_other_batch_sizes_scale_the_schedule_linearly(batch, lr, steps, iterations, warmup):
    changed = scale_to_batch(PUBLISHED, batch)
    assert changed["lr"] == pytest.approx(lr)
    assert (changed["lr_steps"], changed["iterations"], changed["warmup_iterations"]) == (steps, iterations, warmup)


# The photos


@pytest.mark.parametrize(
    ("size", "expected"), [((500, 375), (1067, 800)), ((375, 500), (800, 1067)), ((2000, 500), (1333, 333))]
)
def test_photos_are_resized_as_detectron2_does(size, expected):
    assert resize(Image.new("RGB", size), 800, 1333).size == expected


def test_boxes_follow_their_photo_through_resizing_and_flipping(devkit: Path):
    settings = replace(TINY, short_sides_px=(144,), flip=1.0)
    photo, target = next(batches(read_voc(devkit).train, ("blue", "red"), settings, seed=0, stop=1))[0]
    x1, y1, x2, y2 = (int(edge) for edge in target["boxes"][0])
    inside, outside = photo[:, y1 + 4 : y2 - 4, x1 + 4 : x2 - 4].mean((1, 2)), photo[:, y1, max(x1 - 12, 0)]
    assert target["labels"].tolist() == [2, 1]
    assert inside[0] > 0.7  # red
    assert inside[1] < 0.25
    assert outside[1] > 0.3  # grey


@pytest.mark.parametrize("as_run_lengths", [False, True])
def test_masks_follow_their_photo_through_resizing_and_flipping(devkit: Path, as_run_lengths: bool):
    photo = with_masks(read_voc(devkit).train)[0]
    if as_run_lengths:
        drawn = [decode(thing.mask, photo.height, photo.width) for thing in photo.objects]
        objects = tuple(replace(thing, mask=encode(one)) for thing, one in zip(photo.objects, drawn))
        photo = replace(photo, objects=objects)
    settings = replace(TINY, short_sides_px=(144,), flip=1.0, batch_size=1, masks=True)
    (seen, target), *_ = next(batches([photo], ("blue", "red"), settings, seed=0, stop=1))
    for box, mask in zip(target["boxes"], target["masks"], strict=True):
        rows, columns = decode(mask, *seen.shape[1:]).nonzero()
        assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == pytest.approx(box.tolist(), abs=1)


def test_crowds_empty_boxes_and_photos_without_objects_are_not_trained_on(devkit: Path):
    first, second, third = read_voc(devkit).train[:3]
    red, blue = first.objects
    flat = replace(blue, box=(5, 5, 5, 20))
    mixed = replace(first, objects=(replace(red, is_crowd=True), red, flat))
    only_a_crowd = replace(third, objects=(replace(red, is_crowd=True),))
    left = trainable_photos([mixed, replace(second, objects=()), only_a_crowd])
    assert left == [replace(first, objects=(red,))]


def test_a_batch_is_the_same_wherever_reading_starts(devkit: Path):
    voc = read_voc(devkit)
    whole = list(batches(voc.train, voc.classes, TINY, seed=3, stop=5))
    rest = list(batches(voc.train, voc.classes, TINY, seed=3, start=3, stop=5))
    assert len(whole) == 5
    for one, other in zip(whole[3:], rest, strict=True):
        assert all(torch.equal(a[0], b[0]) and torch.equal(a[1]["boxes"], b[1]["boxes"]) for a, b in zip(one, other))


# Training


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


def test_a_loss_that_is_no_number_stops_the_run(small: Encoder, devkit: Path):
    network = tiny_detector(small)
    nn.init.constant_(network.roi_heads.box_predictor.bbox_pred.bias, float("inf"))
    with pytest.raises(GoodviewsError, match="training diverged"):
        engine.fine_tune(network, read_voc(devkit).train, ("blue", "red"), TINY, seed=0)


# The task


def test_the_task_leaves_a_report_and_a_detector_that_finds_the_same_boxes(small: Encoder, devkit: Path, tmp_path):
    out = tmp_path / "run"
    report = tiny_task().run(small, devkit, out, setup=Setup(seed=1))
    names = ["classes.png", "curves.png", "detector.json", "detector.safetensors", "metrics.jsonl"]
    names += ["predictions.json", "report.json", "resamples.csv", "samples.png"]
    assert sorted(path.name for path in out.iterdir()) == names
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
    (state,) = (tmp_path / "cache").iterdir()
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


def test_processes_see_each_photo_of_a_pass_once(devkit: Path):
    voc = read_voc(devkit)
    shares = [list(batches(voc.train, voc.classes, TINY, seed=0, stop=3, rank=rank, world=2)) for rank in (0, 1)]
    seen = [photo for share in shares for batch in share for photo, _ in batch]
    assert [len(batch) for batch in shares[0]] == [1, 1, 1]
    assert len(seen) == len(voc.train)
    assert not any(a.shape == b.shape and torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])


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


def test_folders_without_a_detector_are_refused(tmp_path: Path):
    with pytest.raises(ArtifactError, match=r"detector\.json is missing; give the folder of a finished detection run"):
        load_detector(tmp_path)
    for content in ("[]", '{"format": 0}', '{"format": 1, "classes": []}'):
        (tmp_path / "detector.json").write_text(content)
        with pytest.raises(ArtifactError, match="was not written by this goodviews"):
            load_detector(tmp_path)
