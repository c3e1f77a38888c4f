"""The encoder that is exported and indexed here."""

from pathlib import Path

import pytest

from goodviews.hub import Encoder, save


@pytest.fixture(scope="session")
def encoder(spread_encoder: Encoder) -> Encoder:
    return spread_encoder


@pytest.fixture(scope="session")
def encoder_folder(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(encoder, tmp_path_factory.mktemp("encoder") / "spread")
