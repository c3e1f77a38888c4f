"""What an index folder that others wrote may say, and what is done about it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import pytest

from goodviews.export.index.files import read_about, read_items
from goodviews.export.index.image_index import load
from goodviews.export.index.photos import add
from goodviews.hub import ArtifactError, open_encoder
from goodviews.hub.cli import run

OLD = Path(__file__).parents[2] / "old_files"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An index of three photos with its encoder, where it says they are."""
    root = shutil.copytree(OLD, tmp_path / "old")
    about = root / "index" / "index.json"
    about.write_text(about.read_text().replace('"/old/', f'"{root}/'))
    return root


def change(file: Path, **fields: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_whatever_is_odd_in_index_json_is_one_sentence(old: Path, refused: Callable[..., set[tuple[str, str]]]):
    file = old / "index" / "index.json"
    found = refused(file, json.loads(file.read_text()), lambda: read_about(file.parent))
    fields = ("kind", "format", "encoder", "source", "backend", "root")
    assert {(kind, field) for field in fields for kind in ("missing", "wrong type")} - found == set()


def test_whatever_is_odd_in_items_json_is_one_sentence(old: Path, refused: Callable[..., set[tuple[str, str]]]):
    file = old / "index" / "items.json"
    found = refused(file, json.loads(file.read_text()), lambda: read_items(file.parent))
    assert {("missing", "items.0.id"), ("negative", "items.0.id"), ("empty", "items.0.path")} - found == set()


@pytest.mark.parametrize(
    ("kind", "metric", "words"),
    [
        ("IDMap2,SQ8", faiss.METRIC_INNER_PRODUCT, "IDMap2,SQ of inner product"),
        ("IDMap2,PQ4x4", faiss.METRIC_INNER_PRODUCT, "IDMap2,PQ of inner product"),
        ("IDMap2,Flat", faiss.METRIC_L2, "IDMap2,Flat of L2"),
        ("IDMap2,Flat", faiss.METRIC_L1, "IDMap2 of metric 2"),
        ("Flat", faiss.METRIC_INNER_PRODUCT, "not the exact|not a complete|where index.json"),
    ],
)
def test_vectors_of_another_kind_or_metric_are_no_cosines_and_are_refused(
    old: Path, kind: str, metric: int, words: str
):
    rows = np.random.default_rng(0).normal(size=(600, 8)).astype("float32")
    vectors = faiss.index_factory(8, kind, metric)
    vectors.train(rows)
    if kind.startswith("IDMap2"):
        vectors.add_with_ids(rows[:3], np.arange(3))
    else:
        vectors.add(rows[:3])
    faiss.write_index(vectors, str(old / "index" / "index.faiss"))
    with pytest.raises(ArtifactError, match=words):
        load(old / "index")


def test_vectors_with_nan_are_refused(old: Path):
    file = old / "index" / "index.faiss"
    content = bytearray(file.read_bytes())
    content[90:94] = np.float32("nan").tobytes()
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match="NaN"):
        load(old / "index")


@pytest.mark.parametrize("path", ["/etc/hostname", "../../../../etc/hostname", "x/../../photos-of-others/a.jpg"])
def test_a_photo_outside_the_roots_is_not_opened(old: Path, path: str):
    file = old / "index" / "items.json"
    content = json.loads(file.read_text())
    content["items"][0]["path"] = path
    file.write_text(json.dumps(content))
    index = load(old / "index")
    with pytest.raises(ArtifactError, match="outside the folders"):
        index.locate(index.items[0])
    index.locate(index.items[1])


def test_a_folder_that_the_user_adds_is_a_root_from_then_on(old: Path, tmp_path: Path):
    shutil.copytree(old / "photos", tmp_path / "others")
    index = load(old / "index")
    add(index, open_encoder(old / "exported"), tmp_path / "others")
    again = load(old / "index")
    assert [again.locate(item).is_file() for item in again.items] == [True] * 6


@pytest.mark.parametrize("source", ["timm:resnet18.a1_in1k", "owner/name", "torchvision:resnet18", "gone/folder"])
def test_the_source_that_an_index_names_makes_no_download_happen(
    old: Path, source: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("goodviews.hub.photo_encoder.open_encoder", lambda *_, **__: pytest.fail("it was opened"))
    change(old / "index" / "index.json", source=source)
    for words in (["search", "INDEX", "PHOTO", "-k", "1"], ["index", "add", "INDEX", "--images", "PHOTOS"]):
        names = {"INDEX": old / "index", "PHOTO": old / "photos" / "0.png", "PHOTOS": old / "photos"}
        with pytest.raises(ArtifactError, match="name it yourself: --encoder"):
            run([str(names.get(word, word)) for word in words])
