"""The encoder that is exported and indexed here."""

import shutil
from pathlib import Path

import pytest

from goodviews.hub import Encoder, save

OLD = Path(__file__).parents[1] / "old_files"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """What an earlier goodviews wrote: an encoder, its export, and an index of three photos that names both folders."""
    root = shutil.copytree(OLD, tmp_path / "old")
    about = root / "index" / "index.json"
    about.write_text(about.read_text().replace('"/old/', f'"{root}/'))
    return root


@pytest.fixture(scope="session")
def encoder(spread_encoder: Encoder) -> Encoder:
    return spread_encoder


@pytest.fixture(scope="session")
def encoder_folder(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(encoder, tmp_path_factory.mktemp("encoder") / "spread")
