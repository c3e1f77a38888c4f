from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def functions_of_tests_are_found(monkeypatch):
    """New processes import them by the names that they have here."""
    monkeypatch.syspath_prepend(Path(__file__).parents[3])
