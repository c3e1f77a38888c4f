"""The folder that searches in a browser: what is in it, what is refused, what rounding its vectors costs."""

import json
from pathlib import Path

import numpy as np
import pytest

from goodviews.export.index.image_index import IndexMismatch
from goodviews.export.onnx.onnx_file import Export
from goodviews.export.web_page import site
from goodviews.export.web_page.collection import _public, read_collection
from goodviews.export.web_page.compact import Compact, loss_of
from goodviews.export.web_page.runtime_files import INSTALL, find_runtime
from goodviews.export.web_page.site import Page, export_page
from goodviews.hub import Encoder, OnnxEncoder, save
from goodviews.hub.cli import run
from goodviews.hub.errors import UsageError

from .conftest import fake_package


@pytest.fixture(scope="module")
def page(exported: Export, index_folder: Path, plain_runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    out = tmp_path_factory.mktemp("page") / "site"
    return export_page(str(exported.folder), index_folder, out, onnxruntime_web=plain_runtime)


def unit_rows(count: int, dimension: int, seed: int = 0) -> np.ndarray:
    rows = np.abs(np.random.default_rng(seed).normal(size=(count, dimension))).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_rounded_vectors_are_within_half_a_step_and_their_bytes_are_scales_then_rows():
    vectors = unit_rows(30, 16)
    compact = Compact.of(vectors)
    assert (np.abs(compact.floats() - vectors) <= compact.scales[:, None] * 0.501).all()
    content = compact.to_bytes()
    assert len(content) == 30 * (4 + 16)
    np.testing.assert_array_equal(np.frombuffer(content, "<f4", 30), compact.scales)
    np.testing.assert_array_equal(np.frombuffer(content, np.int8, offset=120).reshape(30, 16), compact.rows)


def test_the_loss_is_that_of_the_rounding():
    vectors = unit_rows(300, 64)
    exact = Compact(vectors, np.ones(300, np.float32))
    assert loss_of(exact, vectors).neighbours == 1
    rounded = loss_of(Compact.of(vectors), vectors)
    assert 0.999 < rounded.cosine < 1
    assert rounded.neighbours is not None
    assert 0.9 < rounded.neighbours < 1
    assert loss_of(Compact.of(unit_rows(300, 64, seed=1)), vectors).neighbours == pytest.approx(10 / 299, abs=0.05)


def test_a_page_holds_the_index_the_encoder_and_nothing_that_names_this_machine(
    page: Page, index_folder: Path, exported: Export, gallery: list[Path]
):
    described = json.loads((page.folder / "site.json").read_text())
    collection = read_collection(index_folder)
    assert [photo["name"] for photo in described["photos"]] == sorted(path.name for path in gallery)
    for photo in described["photos"]:
        assert (page.folder / "thumbs" / f"{photo['id']}.jpg").read_bytes().startswith(b"\xff\xd8\xff")
    count, dimension = described["vectors"]["count"], described["vectors"]["dimension"]
    content = (page.folder / "vectors.bin").read_bytes()
    rows = np.frombuffer(content, np.int8, offset=4 * count).reshape(count, dimension)
    vectors = rows * np.frombuffer(content, "<f4", count)[:, None]
    assert (1 - (vectors * collection.vectors).sum(axis=1)).max() < 1e-3
    assert (page.folder / "model.onnx").read_bytes() == (exported.folder / "model.onnx").read_bytes()
    for name in ("model", "runtime", "vectors"):
        assert (page.folder / described[name]["file"]).stat().st_size == described[name]["bytes"]
    for file in page.folder.rglob("*"):
        assert file.is_dir() or str(gallery[0].parent).encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("path", "name"), [("cats/a.jpg", "cats/a.jpg"), ("/home/ada/cats/a.jpg", "a.jpg"), ("../private/a.jpg", "a.jpg")]
)
def test_a_path_that_says_where_photos_lie_is_shortened(path: str, name: str):
    assert _public(path) == name


def test_why_an_encoder_is_not_int8_is_said_to_whoever_publishes_it(page: Page):
    assert "has no int8 file; export it again with --int8 --calibrate PHOTOS" in page.facts.remark
    assert "has no int8 file" in (page.folder / "README.md").read_text()


def test_the_pages_own_files_are_all_that_it_asks_for(page: Page):
    for name in ("index.html", "page.css", "page.js", "engine.js", "grid.js", "only-served.js"):
        text = (page.folder / name).read_text()
        assert "//" not in text.replace("http://localhost:8000", "").replace("// ", "").replace("http://www.w3.org", "")


def test_an_encoder_that_loses_the_neighbours_is_left_out(
    exported: Export, photos: list[Path], monkeypatch: pytest.MonkeyPatch
):
    shares = iter([0.6, 0.95])
    monkeypatch.setattr(site, "overlap", lambda *_, **__: next(shares))
    files = [OnnxEncoder(exported.folder / "model.onnx", threads=1) for _ in range(2)]
    files[0].variant = "int8"
    found = site.Candidates(files, files[1], "")

    class OneThumbnail:
        vectors = unit_rows(1, 512)

        def __len__(self) -> int:
            return 1

        def thumbnail(self, position: int) -> bytes:
            return photos[0].read_bytes()

    chosen, share, remark = site._choose(found, OneThumbnail(), Compact.of(OneThumbnail.vectors))  # type: ignore[arg-type]
    assert chosen is files[1]
    assert share == 0.95
    assert remark.startswith("int8 finds 60.0% of the index's 10 nearest neighbours")


def test_another_encoder_than_the_indexs_is_refused_before_any_export(
    other_encoder: Encoder, index_folder: Path, plain_runtime: Path, tmp_path: Path
):
    folder = save(other_encoder, tmp_path / "other")
    with pytest.raises(IndexMismatch, match="was built with"):
        export_page(str(folder), index_folder, tmp_path / "site", onnxruntime_web=plain_runtime)
    assert not (tmp_path / "site").exists()


def test_a_missing_runtime_is_answered_with_the_line_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain_runtime: Path
):
    with pytest.raises(UsageError, match=INSTALL):
        find_runtime(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match=f"run {INSTALL}"):
        find_runtime()
    monkeypatch.chdir(plain_runtime)
    assert find_runtime() == plain_runtime / "node_modules" / "onnxruntime-web"
    fake_package(tmp_path / "old", "1.2.3")
    with pytest.raises(UsageError, match=r"is onnxruntime-web 1\.2\.3, and pages are made for"):
        find_runtime(tmp_path / "old")


@pytest.mark.parametrize(
    "words",
    [["--web"], ["--web", "--index", "i", "--fp16"], ["--index", "i"], ["--onnxruntime-web", "n"]],
)
def test_web_and_index_belong_together(words: list[str], tmp_path: Path):
    with pytest.raises(UsageError, match="give --web --index INDEX"):
        run(["export", "goodviews:mini", "--out", str(tmp_path / "site"), *words])
