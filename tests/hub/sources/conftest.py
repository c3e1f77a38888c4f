"""Shared by the tests of sources: a cache of their own, and what a run would be shown of a source."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from goodviews.hub.sources.source import Source
from goodviews.pretrain.data.loader import ViewLoader
from goodviews.pretrain.views.operations import Flip, Normalize
from goodviews.pretrain.views.view import RandomResizedCrop, View

VIEWS = (View("query", RandomResizedCrop(16, (0.4, 1.0)), (Flip(), Normalize())),)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOODVIEWS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def shown() -> Callable[..., list[torch.Tensor]]:
    """The views of an epoch's batches of four photos."""
    return _shown


@pytest.fixture
def unreadable() -> Callable[[Source, int], list[tuple[str, str]]]:
    """Place and reason of each photo that an epoch cannot read, by source and size of a batch."""

    def skipped(source: Source, batch_size: int) -> list[tuple[str, str]]:
        loader = ViewLoader(source, VIEWS, batch_size=batch_size, seed=0, workers=0)
        list(loader.epoch(0))
        return list(loader.skipped)

    return skipped


@pytest.fixture
def assert_same() -> Callable[[Source, Source], None]:
    """Two sources have the same labels and show the same views."""

    def check(ours: Source, theirs: Source) -> None:
        assert len(ours) == len(theirs)
        assert ours.labels.tolist() == theirs.labels.tolist()
        assert all(torch.equal(a, b) for a, b in zip(_shown(ours), _shown(theirs), strict=True))

    return check


def _shown(source: Source, *, epoch: int = 0, start_step: int = 0) -> list[torch.Tensor]:
    loader = ViewLoader(source, VIEWS, batch_size=4, seed=1, workers=0)
    return [batch.views["query"] for batch in loader.epoch(epoch, start_step)]
