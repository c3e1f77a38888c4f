"""One small encoder and its export, made once: its batch norms have seen photos, so that different photos lie apart."""

from importlib.resources import files
from pathlib import Path

import pytest
import torch
from torch import nn

from goodviews.export.onnx_file import Exported, export
from goodviews.hub import Encoder, Origin, Preprocessing, save
from goodviews.hub.encoder import build_backbone


@pytest.fixture(scope="session")
def gallery() -> list[Path]:
    """Real photos of several sizes and shapes."""
    return sorted((Path(str(files("goodviews.hub"))) / "photos" / "val" / "raccoon").glob("*.jpg"))


@pytest.fixture(scope="session")
def encoder(gallery: list[Path]) -> Encoder:
    """A ResNet-18 for 64 px with an odd difference between resize and crop."""
    return spread_encoder(gallery, seed=0)


@pytest.fixture(scope="session")
def other_encoder(gallery: list[Path]) -> Encoder:
    """As `encoder`, other weights."""
    return spread_encoder(gallery, seed=1)


@pytest.fixture(scope="session")
def encoder_folder(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(encoder, tmp_path_factory.mktemp("encoder") / "spread")


@pytest.fixture(scope="session")
def exported(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(encoder, tmp_path_factory.mktemp("exported") / "onnx")


def spread_encoder(photos: list[Path], *, seed: int) -> Encoder:
    """Random weights, batch statistics of real photos: untouched, a random network gives all photos one vector."""
    torch.manual_seed(seed)
    encoder = Encoder(build_backbone("resnet18"), Preprocessing(input_px=64, crop_pct=0.9), Origin(f"spread-{seed}"))
    batch_norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in batch_norms:
        module.momentum = None  # the average over all batches seen
    encoder.train()
    with torch.inference_mode():
        encoder(torch.stack([encoder.preprocess(path) for path in photos]))
    return encoder.eval()
