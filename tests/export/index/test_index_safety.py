"""What an index folder that others wrote may say, and what is done about it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import pytest
from PIL import Image

from goodviews.export.index.image_index import load
from goodviews.export.index.update import add
from goodviews.hub import ArtifactError, open_encoder
from goodviews.hub.cli import run


def change(file: Path, **fields: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_whatever_is_odd_in_index_json_is_one_sentence(old: Path, refused: Callable[..., set[tuple[str, str]]]):
    file = old / "index" / "index.json"
    found = refused(file, json.loads(file.read_text()), lambda: load(file.parent))
    fields = ("kind", "format", "encoder", "source", "backend", "root")
    assert {(kind, field) for field in fields for kind in ("missing", "wrong type")} - found == set()


def test_whatever_is_odd_in_items_json_is_one_sentence(old: Path, refused: Callable[..., set[tuple[str, str]]]):
    file = old / "index" / "items.json"
    found = refused(file, json.loads(file.read_text()), lambda: load(file.parent))
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


def build(tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(tmp_path / "photos" / name)
    words = ["--encoder", "random:resnet18-w0.25-32px", "--images", str(tmp_path / "photos")]
    run(["index", "build", *words, "--out", str(tmp_path / "index")])
    return tmp_path / "index"


def test_an_index_is_read_whatever_the_locale(tmp_path: Path):
    index = build(tmp_path, "straße/ä.png", "b.png")
    script = (
        "import sys; from goodviews.export.index.image_index import load; index = load(sys.argv[1]);"
        "print(*(index.locate(item).is_file() for item in index.items), index.about.root.is_dir())"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONUTF8"))}
    odd = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for more in ({"PYTHONUTF8": "1"}, odd):
        words = [sys.executable, "-c", script, index]
        found = subprocess.run(words, env=plain | more, capture_output=True, check=True).stdout
        assert found.split() == [b"True"] * 3


def test_an_index_holds_photos_whose_names_are_not_utf8_and_those_of_linked_folders(tmp_path: Path):
    odd = os.fsdecode(b"caf\xe9.png")
    (tmp_path / "pool").mkdir()
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "pool" / odd)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "linked").symlink_to(tmp_path / "pool")
    index = load(build(tmp_path, "a.png"))
    assert sorted(item.path for item in index.items) == ["a.png", f"linked/{odd}"]
    assert all(index.locate(item).is_file() for item in index.items)
    assert (tmp_path / "index" / "index.json").read_text("utf-8")
