"""The encoder that embeds here: an exported one that is there already, since tracing takes longer than all the rest."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def exported() -> Path:
    return Path(__file__).parents[2] / "old_files" / "exported"
