"""The commands as a user types them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goodviews.export.index.image_index import IndexMismatch
from goodviews.export.onnx.onnx_file import Export
from goodviews.hub import ArtifactError, DataError, OnnxEncoder, OutputExists, UsageError
from goodviews.hub.cli import run


@pytest.fixture
def photos(tmp_path: Path, gallery: list[Path]) -> Path:
    root = tmp_path / "photos"
    root.mkdir()
    for path in gallery[:5]:
        shutil.copy(path, root)
    (root / "broken.jpg").write_bytes(b"no image")
    return root


@pytest.fixture
def index(photos: Path, exported: Export, tmp_path: Path) -> Path:
    out = tmp_path / "index"
    run(["index", "build", "--encoder", str(exported.folder), "--images", str(photos), "--out", str(out)])
    return out


def content(folder: Path) -> dict[Path, bytes | None]:
    """What lies in a folder, but for the files that SQLite has while a database is open."""
    found = (path for path in folder.rglob("*") if not path.name.endswith(("-wal", "-shm")))
    return {path: path.read_bytes() if path.is_file() else None for path in found}


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_export_says_what_it_wrote_and_how_far_it_is_from_pytorch(
    encoder_folder: Path, traced: None, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "160")
    run(["export", str(encoder_folder), "--out", str(tmp_path / "onnx")])
    text = said(capsys)
    assert "model.onnx" in text
    assert "44.7" in text
    assert "1.000000" in text
    written = {path.name for path in (tmp_path / "onnx").iterdir()}
    assert written == {".goodviews", "export.json", "README.md", "model.onnx", "model_pixels.onnx"}


def test_int8_without_photos_to_calibrate_on_is_refused(encoder_folder: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="--int8 --calibrate"):
        run(["export", str(encoder_folder), "--out", str(tmp_path / "onnx"), "--int8"])


def test_build_counts_images_and_names_what_it_skipped(index: Path, photos: Path, exported: Export, capsys):
    run(["index", "build", "--encoder", str(exported.folder), "--images", str(photos), "--out", f"{index}-again"])
    text = said(capsys)
    assert "5 images, 512 dimensions, encoded by spread-0 (onnx)" in text
    assert "1 image could not be read" in text
    assert "broken.jpg" in (index / "skipped.txt").read_text()


def test_search_prints_ids_similarities_and_paths_and_draws_them(index: Path, photos: Path, tmp_path: Path, capsys):
    said(capsys)
    query = sorted(photos.glob("raccoon*"))[2]
    run(["search", str(index), str(query), "-k", "3", "--out", str(tmp_path / "found.png")])
    text = said(capsys)
    assert "1.0000" in text
    assert query.name in text
    assert (tmp_path / "found.png").is_file()


def test_search_marks_photos_whose_files_are_gone(index: Path, photos: Path, capsys):
    said(capsys)
    query, gone = sorted(photos.glob("raccoon*"))[:2]
    gone.unlink()
    run(["search", str(index), str(query), "-k", "50"])
    rows = [line.split("\t")[2] for line in said(capsys).splitlines()[1:]]
    assert len(rows) == 5
    assert [row for row in rows if row.endswith("(file is gone)")] == [f"{gone.name} (file is gone)"]


def test_search_by_an_encoder_that_moved(index: Path, encoder_folder: Path, photos: Path, capsys):
    query = sorted(photos.glob("raccoon*"))[0]
    content = (index / "index.json").read_text()
    (index / "index.json").write_text(content.replace('"source": "', '"source": "/gone'))
    with pytest.raises(ArtifactError, match="--encoder"):
        run(["search", str(index), str(query)])
    run(["search", str(index), str(query), "--encoder", str(encoder_folder)])
    assert query.name in said(capsys)


def test_add_remove_and_info_count(index: Path, gallery: list[Path], photos: Path, capsys):
    said(capsys)
    shutil.copy(gallery[9], photos)
    run(["index", "add", str(index), "--images", str(photos)])
    assert "1 added, 0 changed, 5 there already; 6 images" in said(capsys)
    run(["index", "remove", str(index), "0", gallery[9].name])
    assert "2 removed; 4 images" in said(capsys)
    run(["index", "info", str(index)])
    text = said(capsys)
    assert "images   4 in" in text
    assert "spread-0 (resnet18)" in text


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["search", "INDEX", "PHOTO", "-k", "0"], UsageError),
        (["search", "INDEX", "PHOTO", "--out", "picture.txt"], UsageError),
        (["search", "INDEX", "PHOTO", "--out", "PHOTO"], OutputExists),
        (["search", "INDEX", "absent.jpg"], DataError),
        (["search", "PHOTOS", "PHOTO"], ArtifactError),
        (["index", "build", "--encoder", "EXPORTED", "--images", "PHOTOS", "--out", "INDEX"], OutputExists),
        (["index", "build", "--encoder", "EXPORTED", "--images", "EXPORTED", "--out", "new"], DataError),
        (["index", "build", "--encoder", "absent", "--images", "PHOTOS", "--out", "new"], ArtifactError),
        (["index", "build", "--encoder", "INDEX", "--images", "PHOTOS", "--out", "new"], ArtifactError),
        (["index", "add", "INDEX", "--images", "absent"], DataError),
        (["index", "remove", "INDEX", "99"], DataError),
        (["index", "info", "absent"], ArtifactError),
        (["export", "absent", "--out", "new"], ArtifactError),
        (["export", "absent", "--out", "INDEX"], OutputExists),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_changes_nothing(
    index: Path, photos: Path, exported: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words, error
):
    monkeypatch.chdir(tmp_path)
    names = {
        "INDEX": index,
        "PHOTO": sorted(photos.glob("raccoon*"))[0],
        "PHOTOS": photos,
        "EXPORTED": exported.folder,
    }
    before = content(tmp_path)
    with pytest.raises(error) as refused:
        run([str(names.get(word, word)) for word in words])
    assert "\n" not in str(refused.value)
    assert content(tmp_path) == before


def test_an_index_remembers_the_range_of_values_that_its_photos_were_declared_to_have(tmp_path: Path, capsys):
    draw = np.random.default_rng(0)
    (tmp_path / "scans").mkdir()
    for i in range(3):
        Image.fromarray(draw.integers(0, 4096, (40, 40)).astype(np.uint16)).save(tmp_path / "scans" / f"{i}.png")
    encoder = "random:resnet18-w0.25-32px#values=0..4095"
    run(["index", "build", "--encoder", encoder, "--images", str(tmp_path / "scans"), "--out", str(tmp_path / "i")])
    said(capsys)
    run(["search", str(tmp_path / "i"), str(tmp_path / "scans" / "1.png"), "-k", "1"])
    assert "1.0000" in said(capsys)
    with pytest.raises(IndexMismatch, match=r"values 0\.\.4095.*values 0\.\.65535"):
        run(
            [
                *("search", str(tmp_path / "i"), str(tmp_path / "scans" / "1.png")),
                *("-k", "1", "--encoder", "random:resnet18-w0.25-32px#values=0..65535"),
            ]
        )


def test_photos_to_compare_on_are_read_by_the_range_of_the_encoder(
    encoder_folder: Path, traced: None, tmp_path: Path, capsys
):
    draw = np.random.default_rng(0)
    (tmp_path / "scans").mkdir()
    for i in range(2):
        Image.fromarray(draw.integers(0, 4096, (40, 40)).astype(np.uint16)).save(tmp_path / "scans" / f"{i}.png")
    words = ["--images", str(tmp_path / "scans"), "--out", str(tmp_path / "out")]
    with pytest.raises(DataError, match=r"None of the images.*E#values=0\.\.4095"):
        run(["export", str(encoder_folder), *words])
    run(["export", f"{encoder_folder}#values=0..4095", *words])
    assert OnnxEncoder(tmp_path / "out").preprocessing.values == (0, 4095)
