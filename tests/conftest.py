"""Shared by all tests: one thread (two are slower on a busy machine), no network, the small real photos,
a tiny encoder, a made-up data folder and a made-up report."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from importlib.resources import files

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from goodviews.export.onnx import onnx_file
from goodviews.export.onnx.onnx_file import Export, export
from goodviews.export.onnx.write import copy_of
from goodviews.hub.backbone import build_backbone
from goodviews.hub.encoder import Encoder, Origin, Preprocessing
from goodviews.hub.identity import EncoderId
from goodviews.hub.reports.report import Evidence, Protocol, Report
from goodviews.pretrain.recipe import Recipe
from goodviews.pretrain.recipes.registry import choose
from goodviews.pretrain.training import precision
from goodviews.transfer import precision as precision_of_tasks

from . import odd_values

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "docs" / "results"))  # its scripts share a module, as when they run
COLOURS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 210)}


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


_running: list[pytest.Item] = []


def pytest_runtest_setup(item: pytest.Item) -> None:
    _running[:] = [item]


@pytest.fixture(autouse=True, scope="session")
def _tests_that_ask_the_hardware_are_marked() -> Iterator[None]:
    """So that `.ci/run` finds them and runs them both ways: as if the processor multiplied bf16, and as if not."""
    ask = precision.multiplies_bf16

    def ask_if_marked(device: str) -> bool:
        marked = _running[0].get_closest_marker("precision")
        assert marked, "this test trains in the hardware's precision: state another, or mark the test `precision`"
        return ask(device)

    with pytest.MonkeyPatch.context() as patch:
        for module in (precision, precision_of_tasks):
            patch.setattr(module, "multiplies_bf16", ask_if_marked)
        yield


@pytest.fixture(scope="session")
def odd_files() -> Path:
    """Folder of odd and broken image files with manifest.csv."""
    return HERE / "robustness"


@pytest.fixture(scope="session")
def photos() -> list[Path]:
    """A few real photos of different sizes and shapes."""
    return sorted((HERE / "photos").glob("*.jpg"))


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    torch.manual_seed(0)
    backbone = build_backbone("resnet18")
    return Encoder(backbone, Preprocessing(input_px=32, crop_pct=1.0), Origin("random:resnet18@0"))


@pytest.fixture(scope="session")
def gallery() -> list[Path]:
    """Real photos of several sizes and shapes, those that goodviews ships."""
    return sorted((Path(str(files("goodviews.hub"))) / "photos" / "val" / "raccoon").glob("*.jpg"))


@pytest.fixture(scope="session")
def spread_encoder(gallery: list[Path]) -> Encoder:
    """A ResNet-18 for 64 px that keeps photos apart, with an odd difference between resize and crop."""
    return spread(gallery, seed=0)


@pytest.fixture(scope="session")
def other_encoder(gallery: list[Path]) -> Encoder:
    """As `spread_encoder`, other weights."""
    return spread(gallery, seed=1)


@pytest.fixture(scope="session")
def exported(spread_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """`spread_encoder` as ONNX, made once; what was traced is left in TRACED."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("trace_image", "trace_pixels"):
            patch.setattr(onnx_file, name, _recorded(name, getattr(onnx_file, name)))
        return export(spread_encoder, tmp_path_factory.mktemp("exported") / "onnx")


TRACED: dict[str, Any] = {}  # of `spread_encoder`


def _recorded(name: str, trace: Callable[..., Any]) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        TRACED[name] = trace(*arguments)
        return copy_of(TRACED[name])

    return run


@pytest.fixture
def traced(exported: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporting again traces nothing, which takes most of the time: every network is `spread_encoder`'s."""
    for name in ("trace_image", "trace_pixels"):
        monkeypatch.setattr(onnx_file, name, lambda *_, name=name: copy_of(TRACED[name]))


def spread(photos: list[Path], *, seed: int) -> Encoder:
    """Random weights, batch statistics of real photos: untouched, a random network gives all photos one vector."""
    torch.manual_seed(seed)
    encoder = Encoder(build_backbone("resnet18"), Preprocessing(input_px=64, crop_pct=0.9), Origin(f"spread-{seed}"))
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the average over all batches seen
    encoder.train()
    with torch.inference_mode():
        encoder(torch.stack([encoder.preprocess(path) for path in photos]))
    return encoder.eval()


@pytest.fixture
def make_report() -> Callable[..., Report]:
    """A report of the task "knn"; give what should differ."""

    def make(
        name: str = "ours", top1: float = 50.0, weights: str | None = None, task: str = "knn", **changes: object
    ) -> Report:
        plain = Report(
            protocol=Protocol(task, 1, {"k": 20}),
            encoder=EncoderId(name, "resnet18", weights or f"sha-of-{name}"),
            dataset={"name": "flowers", "digest": "d1", "test_images": 100},
            metrics={"top1": top1, "top1_low": top1 - 9, "top1_high": top1 + 9, "mean_per_class": top1 - 1},
            primary="top1",
            description={"metric": "top-1 accuracy, %", "interval": "95 % Wilson over test images"},
            engine="torch 2.9",
            seed=0,
            evidence=Evidence(),
        )
        return replace(plain, **changes)

    return make


def write_images(folder: Path, *, classes: int = 2, each: int = 8) -> Path:
    """FOLDER/<class>/NN.png: a gradient in the class's colour with noise of its own."""
    draw = np.random.default_rng(0)
    ramp = np.linspace(0, 1, 40)[:, None, None]
    for label in range(classes):
        (folder / f"class{label}").mkdir(parents=True)
        for number in range(each):
            colour = np.eye(3)[label] * 160
            image = ramp * colour + draw.integers(0, 90, (40, 40, 3))
            Image.fromarray(image.astype(np.uint8)).save(folder / f"class{label}" / f"{number:02}.png")
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory) -> Path:
    """16 images in two classes: 4 steps an epoch at a batch of 4."""
    return write_images(tmp_path_factory.mktemp("data") / "images")


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """train/ with 6 and val/ with 3 noisy pictures of each colour."""
    root = tmp_path / "colours"
    for part, count in (("train", 6), ("val", 3)):
        for name, colour in COLOURS.items():
            paint(root / part / name, colour, count, seed=len(part))
    return root


def paint(folder: Path, colour: tuple[int, int, int], count: int, seed: int) -> None:
    folder.mkdir(parents=True)
    noise = np.random.default_rng(seed)
    for i in range(count):
        pixels = np.clip(np.array(colour) + noise.normal(0, 25, (40, 40, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")


@pytest.fixture(scope="session")
def smoke() -> Recipe:
    """infomin_smoke with timm's smallest ResNet, for two epochs: 8 steps."""
    return replace(choose("infomin_smoke"), architecture="test_resnet", epochs=2)


@pytest.fixture(scope="session")
def refused() -> Callable[..., set[tuple[str, str]]]:
    """Which odd values of a JSON file's fields are refused as they should; see odd_values."""
    return odd_values.refused
