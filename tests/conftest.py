"""Shared by all tests: one thread (two are slower on a busy machine), no network, the small real photos."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import pytest
import torch

HERE = Path(__file__).parent


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def odd_files() -> Path:
    """Folder of odd and broken image files with manifest.csv."""
    return HERE / "robustness"


@pytest.fixture(scope="session")
def photos() -> list[Path]:
    """A few real photos of different sizes and shapes."""
    return sorted((HERE / "photos").glob("*.jpg"))
