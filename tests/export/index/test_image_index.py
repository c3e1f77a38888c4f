"""The index: exact, faithful to its encoder, safe against crashes and wrong files; ids that stay."""

import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from goodviews.export import ImageIndex, IndexMismatch
from goodviews.export.embedding.vector_files import About as VectorsAbout
from goodviews.export.embedding.vector_files import Rows, companions, write_vectors
from goodviews.export.index.about import About
from goodviews.export.index.build import build, build_from_vectors
from goodviews.export.index.change import Entry, changing, filling
from goodviews.export.index.image_index import load
from goodviews.export.index.update import add, remove
from goodviews.export.onnx.onnx_file import Export
from goodviews.export.search.photo_search import search
from goodviews.hub import (
    ArtifactError,
    DataError,
    Encoder,
    MissingExtra,
    OnnxEncoder,
    OutputExists,
    UsageError,
    open_encoder,
)


@pytest.fixture
def photos(tmp_path: Path, gallery: list[Path]) -> Path:
    """Six photos, two of them in a folder below."""
    root = tmp_path / "photos"
    (root / "below").mkdir(parents=True)
    for position, path in enumerate(gallery[:6]):
        shutil.copy(path, root / ("below" if position > 3 else ".") / f"{position}.jpg")
    return root


@pytest.fixture
def onnx_encoder(exported: Export) -> OnnxEncoder:
    return OnnxEncoder(exported.folder, threads=1)


@pytest.fixture
def index(photos: Path, onnx_encoder: OnnxEncoder, tmp_path: Path) -> ImageIndex:
    return build(onnx_encoder, photos, tmp_path / "index")[0]


def neighbours(index: ImageIndex, encoder: OnnxEncoder, image: Path, k: int = 1) -> list[str]:
    return [match.item.path for match in search(index, encoder, image, k)]


def test_each_photo_finds_itself_first_with_similarity_one(index: ImageIndex, onnx_encoder: OnnxEncoder):
    opened = load(index.folder)
    assert [item.path for item in opened.items] == [f"{i}.jpg" for i in range(4)] + ["below/4.jpg", "below/5.jpg"]
    for item in opened.items:
        first = search(opened, onnx_encoder, opened.locate(item), 1)[0]
        assert first.item == item
        assert first.similarity == pytest.approx(1, abs=1e-5)


def test_search_agrees_with_brute_force_in_numpy(index: ImageIndex, onnx_encoder: OnnxEncoder, gallery: list[Path]):
    rows = onnx_encoder.encode([index.locate(item) for item in index.items])
    queries = onnx_encoder.encode(gallery[6:10])
    expected = np.argsort(-queries @ rows.T, axis=1)[:, :3]
    found = index.search(queries, 3, encoder=onnx_encoder.id)
    assert [[match.item.id for match in row] for row in found] == expected.tolist()


def test_pytorch_and_the_onnx_export_are_one_encoder_to_an_index(
    index: ImageIndex, encoder_folder: Path, photos: Path, tmp_path: Path
):
    torch_encoder = open_encoder(encoder_folder)
    assert torch_encoder.backend == "torch"
    first = search(index, torch_encoder, photos / "2.jpg", 1)[0]
    assert first.item.path == "2.jpg"
    assert first.similarity == pytest.approx(1, abs=1e-4)
    again, _ = build(torch_encoder, photos, tmp_path / "with_torch")
    assert again.about.source == str(encoder_folder.resolve())
    assert search(again, open_encoder(index.about.source), photos / "2.jpg", 1)[0].item.path == "2.jpg"


def test_vectors_of_another_encoder_are_refused_everywhere(index: ImageIndex, other_encoder: Encoder, photos: Path):
    before = files_of(index.folder)
    with pytest.raises(IndexMismatch, match="built with spread-0, not with spread-1: weights"):
        search(index, other_encoder, photos / "2.jpg", 1)
    with pytest.raises(IndexMismatch):
        add(index, other_encoder, photos)
    assert files_of(index.folder) == before


def test_preprocessing_dimension_and_fingerprint_are_part_of_the_identity(index: ImageIndex):
    own = index.about.encoder
    larger = replace(own, preprocessing=replace(own.preprocessing, input_px=96))
    assert own.differences(own) == []
    assert "64 px" in own.differences(larger)[0]
    assert own.differences(replace(own, dimension=2048)) == ["512 dimensions against 2048"]
    assert "fingerprints" in own.differences(replace(own, fingerprint="A" * len(own.fingerprint.rstrip("=")) + "="))[0]


def test_vectors_of_another_shape_or_length_are_refused(index: ImageIndex):
    with pytest.raises(IndexMismatch, match="vectors of 512 numbers"):
        index.search(np.ones((1, 3), np.float32), 1, encoder=index.about.encoder)
    with pytest.raises(DataError, match="unit length"):
        index.search(np.ones((1, 512), np.float32), 1, encoder=index.about.encoder)


def test_a_search_takes_lists_and_asks_for_the_id_of_an_encoder(index: ImageIndex, onnx_encoder: OnnxEncoder):
    (found,) = index.search(np.eye(1, 512).tolist(), 1, encoder=onnx_encoder.id)
    assert len(found) == 1
    with pytest.raises(UsageError, match=r"give encoder\.id, not OnnxEncoder"):
        index.search(np.ones((1, 512), np.float32), 1, encoder=onnx_encoder)


def test_a_photo_that_a_file_of_vectors_names_twice_is_named(onnx_encoder: OnnxEncoder, tmp_path: Path):
    rows = Rows(["a.jpg", "b.jpg", "b.jpg"], ["0" * 64] * 3, [7] * 3, np.eye(3, 512, dtype=np.float32))
    file = tmp_path / "v.npy"
    write_vectors(file, VectorsAbout(onnx_encoder.id, "encoder", "onnx", tmp_path, 3), [rows])
    with pytest.raises(DataError, match=r"v\.npy names b\.jpg more than once; embed each photo once"):
        build_from_vectors(file, onnx_encoder, tmp_path / "index")
    assert [*tmp_path.iterdir()] == [file, *companions(file)]


def test_adding_leaves_known_photos_alone_and_embeds_changed_ones_under_their_id(
    index: ImageIndex, onnx_encoder: OnnxEncoder, photos: Path, gallery: list[Path]
):
    shutil.copy(gallery[6], photos / "new.jpg")
    shutil.copy(gallery[7], photos / "3.jpg")
    added = add(load(index.folder), onnx_encoder, photos)
    assert (added.new, added.changed, added.unchanged) == (1, 1, 5)
    opened = load(index.folder)
    assert [item.id for item in opened.items if item.path in {"3.jpg", "new.jpg"}] == [3, 6]
    assert search(opened, onnx_encoder, gallery[7], 1)[0].item.id == 3
    assert search(opened, onnx_encoder, gallery[6], 1)[0].item.path == "new.jpg"
    assert add(opened, onnx_encoder, photos) == replace(added, new=0, changed=0, unchanged=7)
    assert len(opened) == 7


def test_a_photo_from_elsewhere_is_kept_by_its_full_path(
    index: ImageIndex, onnx_encoder: OnnxEncoder, gallery: list[Path]
):
    assert add(index, onnx_encoder, gallery[8]).new == 1
    match = search(load(index.folder), onnx_encoder, gallery[8], 1)[0]
    assert load(index.folder).locate(match.item) == gallery[8]


def test_photos_leave_by_id_or_path_and_their_ids_are_not_used_again(
    index: ImageIndex, onnx_encoder: OnnxEncoder, photos: Path
):
    removed = remove(load(index.folder), ["0", "below/5.jpg", str(photos / "1.jpg")])
    assert [item.id for item in removed] == [0, 5, 1]
    opened = load(index.folder)
    assert [item.id for item in opened.items] == [2, 3, 4]
    assert neighbours(opened, onnx_encoder, photos / "0.jpg", k=3).count("0.jpg") == 0
    assert add(opened, onnx_encoder, photos).new == 3
    assert [item.id for item in load(index.folder).items] == [2, 3, 4, 6, 7, 8]
    assert neighbours(load(index.folder), onnx_encoder, photos / "0.jpg") == ["0.jpg"]


def test_an_unknown_photo_stops_the_removal_of_all(index: ImageIndex):
    before = files_of(index.folder)
    with pytest.raises(DataError, match="no image 77; nothing was removed"):
        remove(index, ["0", "77"])
    with pytest.raises(DataError, match="no image with id 77"), changing(index.folder) as change:
        change.remove([0, 77])
    assert files_of(index.folder) == before
    assert len(index) == 6


def test_a_change_that_raises_halfway_leaves_the_index_as_it_was(index: ImageIndex, onnx_encoder: OnnxEncoder):
    before = files_of(index.folder)
    vector = onnx_encoder.encode([index.locate(index.items[0])])
    with pytest.raises(RuntimeError, match="no more"), changing(index.folder) as change:
        change.insert([Entry(1, "new.jpg")], vector)
        change.remove([0, 1])
        raise RuntimeError("no more")
    assert files_of(index.folder) == before
    assert index.reload() is False
    assert len(load(index.folder)) == 6


def test_unreadable_photos_are_left_out_and_listed(photos: Path, onnx_encoder: OnnxEncoder, tmp_path: Path):
    (photos / "0_broken.jpg").write_bytes((photos / "0.jpg").read_bytes()[:2000])
    (photos / "notes.txt").write_text("no image")
    index, skipped = build(onnx_encoder, photos, tmp_path / "out")
    assert len(index) == 6
    assert [Path(name).name for name, _ in skipped] == ["0_broken.jpg"]
    assert "0_broken.jpg" in (tmp_path / "out" / "skipped.txt").read_text()
    for item in index.items:
        assert neighbours(index, onnx_encoder, index.locate(item)) == [item.path]


def test_folders_without_a_usable_photo_write_nothing(onnx_encoder: OnnxEncoder, tmp_path: Path):
    folder = tmp_path / "texts"
    folder.mkdir()
    for content in (None, "a.txt", "a.jpg"):
        if content:
            (folder / content).write_text("no image")
        with pytest.raises(DataError):
            build(onnx_encoder, folder, tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_an_existing_index_is_kept_without_overwrite(index: ImageIndex, onnx_encoder: OnnxEncoder, photos: Path):
    before = files_of(index.folder)
    with pytest.raises(OutputExists):
        build(onnx_encoder, photos, index.folder)
    assert files_of(index.folder) == before
    (photos / "0.jpg").unlink()
    build(onnx_encoder, photos, index.folder, overwrite=True)
    assert len(load(index.folder)) == 5


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("index.json", b'{"model_type": "resnet"}', "not written by goodviews"),
        ("index.json", b"[1]", "not written by goodviews"),
        ("index.json", b"{", "not JSON"),
        ("index.json", b'{"kind": "goodviews image index", "format": 9}', "9 for format"),
        ("index.json", b'{"kind": "goodviews image index", "format": 2}', "lacks encoder"),
        ("index.json", None, "index.json is missing"),
        ("index.sqlite", None, "index.sqlite is missing"),
        ("index.sqlite", b"", "no sound database"),
        ("index.sqlite", b"no database" * 500, "no sound database"),
        ("vectors-000001.npy", None, "vectors-000001.npy is missing"),
        ("vectors-000001.npy", b"", "not the whole file"),
        ("ids-000001.npy", b"\x93NUMPY", "not the whole file"),
    ],
)
def test_damaged_and_foreign_files_are_named_in_one_sentence(
    index: ImageIndex, name: str, content: bytes | None, sentence: str
):
    (index.folder / name).unlink()
    if content is not None:
        (index.folder / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=sentence) as refused:
        load(index.folder)
    assert "\n" not in str(refused.value)


def test_a_cut_vector_file_is_refused_at_every_length(index: ImageIndex):
    file = index.folder / "vectors-000001.npy"
    whole = file.read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 40):
        file.write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match="not the whole file"):
            load(index.folder)


def test_vectors_and_databases_of_another_index_are_refused(index: ImageIndex, tmp_path: Path):
    own = index.about.encoder
    narrow = replace(own, dimension=8, fingerprint="AACAPwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    (tmp_path / "narrow").mkdir()
    with filling(tmp_path / "narrow", About(narrow, "x", "onnx", tmp_path)) as change:
        change.insert([Entry(1, "a.jpg")], np.eye(1, 8, dtype=np.float32))
    shutil.copy(tmp_path / "narrow" / "vectors-000001.npy", index.folder)
    with pytest.raises(ArtifactError, match=r"not the whole file of \(6, 512\) numbers"):
        load(index.folder)
    shutil.copy(tmp_path / "narrow" / "index.sqlite", index.folder)
    with pytest.raises(ArtifactError, match="of another index"):
        load(index.folder)


def test_photos_without_a_vector_are_noticed(index: ImageIndex):
    with sqlite3.connect(index.folder / "index.sqlite") as database:
        database.execute("UPDATE about SET value = 7 WHERE key = 'count'")
    database.close()
    with pytest.raises(ArtifactError, match="7 photos, but other vectors"):
        load(index.folder)


@pytest.mark.parametrize(("k", "sentence"), [(0, "k is 0"), (-1, "k is -1")])
def test_a_k_that_cannot_be_met_is_refused(index: ImageIndex, onnx_encoder: OnnxEncoder, photos: Path, k, sentence):
    with pytest.raises(UsageError, match=sentence):
        search(index, onnx_encoder, photos / "0.jpg", k)


def test_a_k_above_the_number_of_images_gives_all_of_them(index: ImageIndex, onnx_encoder: OnnxEncoder, photos: Path):
    assert len(search(index, onnx_encoder, photos / "0.jpg", 7)) == 6
    remove(index, [str(item.id) for item in index.items])
    with pytest.raises(UsageError, match="holds no images"):
        search(load(index.folder), onnx_encoder, photos / "0.jpg", 1)


def test_an_unreadable_query_is_refused(index: ImageIndex, onnx_encoder: OnnxEncoder, tmp_path: Path):
    (tmp_path / "query.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"query\.jpg"):
        search(index, onnx_encoder, tmp_path / "query.jpg", 1)


def test_a_missing_faiss_is_named_with_the_way_to_get_it(index: ImageIndex, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtra, match="faiss"):
        index.search(index.vectors_of([0]), 1, encoder=index.about.encoder)


def test_a_process_forked_after_a_search_can_search(index: ImageIndex):
    """With faiss on two threads the child would hang in its first search."""
    code = f"""
import os, signal
import numpy as np
from goodviews.export.index.image_index import load
index = load({str(index.folder)!r})
queries = np.eye(512, dtype=np.float32)[:200]
look = lambda: index.search(queries, 5, encoder=index.about.encoder)
look()
child = os.fork()
if child == 0:
    signal.alarm(30)
    look()
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"OMP_NUM_THREADS": "2"}
    )
    assert ran.stdout.strip() == "7"


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
