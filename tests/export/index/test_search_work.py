"""What a search does, counted: one look at its photo, one comparison of identities, no digest of weights."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import goodviews.hub.encoder
import goodviews.hub.weights
from goodviews.hub import check
from goodviews.hub.cli import run
from goodviews.hub.identity import EncoderId

OLD = Path(__file__).parents[2] / "old_files"


@pytest.fixture(params=["encoder", "exported"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An index of three pictures; PyTorch runs its encoder, or ONNX Runtime."""
    out = tmp_path / "index"
    run(["index", "build", "--encoder", str(OLD / request.param), "--images", str(OLD / "photos"), "--out", str(out)])
    return out


@pytest.fixture
def query(tmp_path: Path) -> Path:
    """A picture that is not in the index."""
    return Path(shutil.copy(OLD / "photos" / "1.png", tmp_path / "query.png"))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a file was opened as an image (by its name), identities were compared, and weights were hashed."""
    counted: Counter[str] = Counter()

    def count(owner: Any, attribute: str, name: Callable[..., str]) -> None:
        original = getattr(owner, attribute)

        def counting(*args: Any, **options: Any) -> Any:
            counted[name(*args)] += 1
            return original(*args, **options)

        monkeypatch.setattr(owner, attribute, counting)

    count(Image, "open", lambda file, *_: Path(file).name)
    count(EncoderId, "differences", lambda *_: "compared")
    for module in (goodviews.hub.encoder, goodviews.hub.weights):
        count(module, "weights_sha256", lambda *_: "hashed")
    return counted


def test_a_search_decodes_its_photo_once_compares_identities_once_and_hashes_nothing(
    index: Path, query: Path, calls: Counter[str]
):
    run(["search", str(index), str(query), "-k", "2"])
    assert calls == {"query.png": 1, "compared": 1}


def test_a_picture_of_the_search_shows_the_photo_as_it_was_decoded(
    index: Path, query: Path, calls: Counter[str], tmp_path: Path
):
    run(["search", str(index), str(query), "-k", "3", "--out", str(tmp_path / "found.png")])
    assert calls == {"query.png": 1, "0.png": 1, "1.png": 1, "2.png": 1, "compared": 1}


def test_the_search_with_an_encoder_made_in_memory_hashes_its_weights(
    index: Path, query: Path, calls: Counter[str], tmp_path: Path
):
    from goodviews.export.index.image_index import load
    from goodviews.export.search.photo_search import search
    from goodviews.hub import from_pretrained

    encoder = from_pretrained(OLD / "encoder")
    encoder.recorded = None
    assert search(load(index), encoder, query, 1)[0].similarity == pytest.approx(1, abs=1e-5)
    assert calls["hashed"] == calls["compared"] == calls["query.png"] == 1


def test_a_check_still_recomputes_the_digest(tmp_path: Path):
    folder = Path(shutil.copytree(OLD / "encoder", tmp_path / "encoder"))
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert "sha256" in check(folder)[0]
