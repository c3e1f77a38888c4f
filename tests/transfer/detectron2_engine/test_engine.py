"""A narrow ResNet-50 and a ResNet-18, photos of 96 x 72 and a few iterations: whether the parts fit, not how well."""

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from goodviews.hub.backbone import build_backbone
from goodviews.hub.encoder import Encoder, Origin, Preprocessing
from goodviews.hub.errors import GoodviewsError, UsageError
from goodviews.transfer.datasets.detection_data import DetectionData
from goodviews.transfer.datasets.labelled_photos import LabelledPhoto, Rle
from goodviews.transfer.datasets.photo_table import pack
from goodviews.transfer.datasets.voc import read_voc
from goodviews.transfer.detection.choose_engine import choose_engine
from goodviews.transfer.detection.load_detector import load_detector
from goodviews.transfer.detection.photo_batches import batches
from goodviews.transfer.detection.photo_order import PhotoOrder
from goodviews.transfer.detection.settings import DetectionSettings
from goodviews.transfer.detectron2_engine.load_encoder import stage_features
from goodviews.transfer.task import Setup

pytestmark = pytest.mark.detectron2

C4 = DetectionSettings(
    iterations=3,
    lr_steps=(2,),
    warmup_iterations=1,
    batch_size=2,
    lr=0.005,
    precise_bn_iterations=2,
    short_sides_px=(48, 64),
    test_short_side_px=64,
    long_side_px=96,
    proposals=(60, 8),
    roi_samples=8,
    roi_px=4,
)
FPN = replace(
    C4,
    trunk="fpn",
    masks=True,
    box_head="4conv1fc",
    head_norm=True,
    roi_px=7,
    proposals_before_nms=(60, 60),
    iterations=2,
    precise_bn_iterations=1,
    detections_per_photo=5,
)


def encoder_of(architecture: str, width: float = 1.0) -> Encoder:
    torch.manual_seed(0)
    return Encoder(build_backbone(architecture, width=width), Preprocessing(), Origin(f"random:{architecture}@0"))


@pytest.fixture(scope="module")
def resnet50() -> Encoder:
    """With statistics and scales that differ from layer to layer, as in a trained one."""
    encoder = encoder_of("resnet50", width=0.25)
    for name, value in encoder.backbone.state_dict().items():
        if name.endswith(("running_mean", "running_var", "bias")):
            value.copy_(torch.rand_like(value) + 0.5)
    return encoder


@pytest.fixture
def squares(devkit: Path) -> DetectionData:
    return read_voc(devkit)


def with_masks(data: DetectionData) -> DetectionData:
    """Each box's own outline as its mask."""

    def masked(photo: LabelledPhoto) -> LabelledPhoto:
        boxes = [(thing, *thing.box) for thing in photo.objects]
        return replace(
            photo,
            objects=tuple(replace(thing, mask=((a, b, c, b, c, d, a, d),)) for thing, a, b, c, d in boxes),
        )

    return replace(data, train=pack(map(masked, data.train)), test=pack(map(masked, data.test)))


def weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def differing(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> list[str]:
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


# The same network


def test_the_trunk_computes_what_the_encoder_does(detectron2_engine: ModuleType, resnet50: Encoder):
    network = started(detectron2_engine, resnet50, C4)
    batch = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = resnet50.eval().feature_maps(batch)
        found = stage_features(network, batch)["res4"]
        head = network.roi_heads.res5[:3](found)
    scale = expected["res4"].abs().max()
    assert (found - expected["res4"]).abs().max() <= 1e-5 * scale
    assert (head - expected["res5"]).abs().max() <= 1e-5 * expected["res5"].abs().max()
    assert not any(value.requires_grad is False for value in network.parameters())  # nothing is frozen


def test_both_engines_have_the_same_trunk(detectron2_engine: ModuleType, resnet50: Encoder):
    from goodviews.transfer.torchvision_engine.network import build_detector

    theirs = started(detectron2_engine, resnet50, C4)
    ours = build_detector(resnet50.backbone, resnet50.preprocessing, 2, C4).eval()
    batch = torch.randn(1, 3, 64, 80, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = ours.backbone(batch), stage_features(theirs, batch)["res4"]
    expected = next(iter(expected.values())) if isinstance(expected, dict) else expected
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def samples_of(*given: Any) -> Any:
    from goodviews.transfer.detectron2_engine.samples import Samples

    return Samples(*given)


def started(engine: ModuleType, encoder: Encoder, settings: DetectionSettings) -> torch.nn.Module:
    return engine.build_detector(encoder, 2, settings, seed=0)[0]


def test_a_network_with_the_same_tensors_that_computes_something_else_is_refused(
    detectron2_engine: ModuleType, resnet50: Encoder
):
    other = encoder_of("resnet50", width=0.25)
    for layer in other.backbone.modules():
        if isinstance(layer, torch.nn.ReLU):
            layer.forward = torch.nn.functional.silu  # type: ignore[method-assign]
    with pytest.raises(UsageError, match=r"resnet50 is none: with its weights res4 differs"):
        started(detectron2_engine, other, C4)


# The same photos


def test_both_engines_train_on_the_same_photos_boxes_and_labels(detectron2_engine: ModuleType, squares: DetectionData):
    order = PhotoOrder(squares.train, C4.batch_size, 3, 1, 4)
    samples = samples_of(squares.train, squares.classes, C4, 3)
    ours = batches(squares.train, squares.classes, C4, seed=3, start=1, stop=4)
    for one, keys in zip(ours, order, strict=True):
        for (photo, target), key in zip(one, keys, strict=True):
            sample = samples.for_detectron2(samples[key])
            assert torch.equal((photo * 255).round().byte(), sample["image"])
            torch.testing.assert_close(target["boxes"], sample["instances"].gt_boxes.tensor)
            assert torch.equal(target["labels"] - 1, sample["instances"].gt_classes)


def test_masks_may_come_as_outlines_or_as_run_lengths(detectron2_engine: ModuleType, squares: DetectionData):
    from goodviews.transfer.datasets.masks import as_rle

    photo = with_masks(squares).train[0]
    drawn = replace(
        photo,
        objects=tuple(replace(one, mask=as_rle(one.mask, photo.height, photo.width)) for one in photo.objects),
    )
    assert isinstance(drawn.objects[0].mask, Rle)
    outlined, filled = (
        samples.for_detectron2(samples[0, 0])["instances"]
        for samples in (
            samples_of(pack([photo]), squares.classes, FPN, 0),
            samples_of(pack([drawn]), squares.classes, FPN, 0, "bitmask"),
        )
    )
    areas = filled.gt_masks.tensor.sum((1, 2)).numpy()
    np.testing.assert_allclose(np.asarray(outlined.gt_masks.area()), areas, rtol=0.1)


def test_processes_share_the_photos_without_overlap(squares: DetectionData):
    whole = {key for batch in PhotoOrder(squares.train, 2, 0, 0, 6) for key in batch}
    shares = [{key for batch in PhotoOrder(squares.train, 1, 0, 0, 6, rank, 2) for key in batch} for rank in (0, 1)]
    assert shares[0] | shares[1] == whole
    assert not shares[0] & shares[1]


# Training


@pytest.mark.parametrize(("architecture", "width", "settings"), [("resnet50", 0.25, C4), ("resnet18", 1.0, FPN)])
def test_it_trains_finds_and_is_loaded_again(
    detectron2_engine: ModuleType,
    squares: DetectionData,
    tmp_path: Path,
    architecture: str,
    width: float,
    settings: DetectionSettings,
):
    encoder = encoder_of(architecture, width)
    before = weights(encoder)
    data = with_masks(squares) if settings.masks else squares
    detector, rows = detectron2_engine.Detectron2Engine().fine_tune(encoder, data, settings, seed=0)
    assert [row["iteration"] for row in rows] == [1, 2, 3][: settings.iterations]
    assert all(np.isfinite(row["loss"]) for row in rows)
    assert ("loss_mask" in rows[0]) == settings.masks
    assert rows[0]["loss"] == pytest.approx(sum(value for name, value in rows[0].items() if name.startswith("loss_")))
    assert not differing(before, weights(encoder))

    photo = data.test[0]
    found = detector.detect(photo.path, photo.id)
    assert found.photo_id == photo.id
    assert set(found.names) <= set(data.classes)
    assert len(found.boxes) == len(found.scores) == len(found.names) > 0
    assert found.boxes.min() >= 0
    assert (found.boxes.max(0) <= [96, 72, 96, 72]).all()
    assert (np.diff(found.scores) <= 0).all()
    assert (found.masks is None) == (not settings.masks)
    assert all(mask.size == (72, 96) for mask in found.masks or ())

    again = load_detector(detector.save(tmp_path))
    assert (again.classes, again.settings) == (detector.classes, settings)
    once_more = again.detect(photo.path, photo.id)
    assert np.array_equal(found.boxes, once_more.boxes)
    assert found.masks == once_more.masks


def test_a_run_is_a_function_of_its_seed_whatever_the_workers(
    detectron2_engine: ModuleType, squares: DetectionData, resnet50: Encoder
):
    engine, short = detectron2_engine.Detectron2Engine(), replace(C4, iterations=1, precise_bn_iterations=1)
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    once, twice, other = (
        weights(engine.fine_tune(resnet50, squares, short, seed=seed, workers=workers)[0].network)
        for seed, workers in ((0, 0), (0, 1), (1, 0))
    )
    assert torch.equal(torch.rand(2), expected), "the caller's own random numbers were used"
    assert not differing(once, twice)
    assert differing(once, other)


KILLED = """
    import os, signal, sys
    from goodviews.transfer.detectron2_engine import engine as detectron2_engine
    from goodviews.transfer.training_state import TrainingState
    from tests_of_detectron2 import C4, encoder_of, read_voc, Path

    save = TrainingState.save_if_due
    def save_and_die(state, rows):
        save(state, rows)
        if rows[-1]["iteration"] == 2:
            os.kill(os.getpid(), signal.SIGKILL)
    TrainingState.save_if_due = save_and_die
    engine = detectron2_engine.Detectron2Engine()
    engine.fine_tune(encoder_of("resnet50", 0.25), read_voc(Path(sys.argv[1])), C4, seed=0, state=Path(sys.argv[2]))
"""


def test_a_killed_run_continues_as_if_it_had_not_been(
    detectron2_engine: ModuleType, squares: DetectionData, tmp_path: Path
):
    (tmp_path / "tests_of_detectron2.py").write_text(Path(__file__).read_text())
    state = tmp_path / "state"
    script = [sys.executable, "-c", textwrap.dedent(KILLED), str(squares.root), str(state)]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    killed = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    engine, encoder = detectron2_engine.Detectron2Engine(), encoder_of("resnet50", 0.25)
    unbroken, expected = engine.fine_tune(encoder, squares, C4, seed=0)
    detector, rows = engine.fine_tune(encoder, squares, C4, seed=0, state=state)
    assert not differing(weights(unbroken.network), weights(detector.network))
    told = [{name: value for name, value in row.items() if name != "images_per_s"} for row in rows]
    assert told == [{name: value for name, value in row.items() if name != "images_per_s"} for row in expected]


def test_training_is_the_same_whether_it_is_looked_at_or_not(
    detectron2_engine: ModuleType, squares: DetectionData, resnet50: Encoder
):
    plain, rows = detectron2_engine.Detectron2Engine().fine_tune(resnet50, squares, C4, seed=0)
    looking = detectron2_engine.Detectron2Engine(evaluate_every=2)
    detector, with_scores = looking.fine_tune(resnet50, squares, C4, seed=0)
    assert not differing(weights(plain.network), weights(detector.network))
    assert [row["iteration"] for row in with_scores if "AP50" in row] == [2]
    assert [row["loss"] for row in rows] == [row["loss"] for row in with_scores]


def test_processes_train_one_detector_together(
    detectron2_engine: ModuleType, squares: DetectionData, resnet50: Encoder
):
    if torch.cuda.is_available():
        pytest.skip("several CPU processes need a machine that shows no GPU")
    engine = detectron2_engine.Detectron2Engine(processes=2, evaluate_every=1)
    detector, rows = engine.fine_tune(resnet50, squares, replace(C4, iterations=2, precise_bn_iterations=1), seed=0)
    assert [row["iteration"] for row in rows] == [1, 2]
    assert np.isfinite(rows[1]["loss"])
    assert "AP50" in rows[0]
    assert type(detector.network.backbone.stem.conv1.norm).__name__ == "NaiveSyncBatchNorm"
    start = started(detectron2_engine, resnet50, C4).state_dict()
    name = "backbone.res4.0.conv1.weight"
    assert not torch.equal(detector.network.state_dict()[name], start[name])
    assert "2 x 1 (published: 8 GPUs with 2 photos)" in engine.differences(C4)[0]


def test_training_that_diverges_says_so(detectron2_engine: ModuleType, squares: DetectionData, resnet50: Encoder):
    settings = replace(C4, lr=1e30, warmup_iterations=0)
    with pytest.raises(GoodviewsError, match=r"^The detection .* training diverged; try another seed"):
        detectron2_engine.Detectron2Engine().fine_tune(resnet50, squares, settings, seed=0)


def test_torchvision_gets_processes_and_evaluations_too(resnet50: Encoder):
    engine = choose_engine(Setup(engine="torchvision", processes=2, evaluate_every=5), resnet50, C4)
    assert (engine.processes, engine.evaluate_every) == (2, 5)


def test_the_engine_gets_what_the_user_chose(detectron2_engine: ModuleType, resnet50: Encoder):
    engine = choose_engine(Setup(engine="detectron2", processes=4, evaluate_every=500), resnet50, C4)
    assert engine == detectron2_engine.Detectron2Engine(processes=4, evaluate_every=500)
