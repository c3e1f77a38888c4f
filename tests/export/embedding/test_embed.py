"""Embedding runs: every photo once, in order, whatever runs them and however often they are stopped."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from goodviews.export.embedding import embed as run
from goodviews.export.embedding import local, parts
from goodviews.export.embedding.embed import embed
from goodviews.export.embedding.vector_files import read_vectors
from goodviews.hub import ArtifactError, DataError, OutputExists, UsageError, open_encoder
from goodviews.hub.cli import run as command
from goodviews.hub.errors import Busy
from goodviews.hub.files.locks import sole_writer


@pytest.fixture
def photos(tmp_path: Path, gallery: list[Path]) -> Path:
    """Seven photos in two folders, and a broken one."""
    root = tmp_path / "photos"
    for number, path in enumerate(gallery[:7]):
        (root / f"class{number % 2}").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / f"class{number % 2}" / path.name)
    (root / "class0" / "broken.jpg").write_bytes(b"no image")
    return root


def test_each_photo_has_a_row_with_its_path_digest_size_and_vector(photos: Path, exported: Path, tmp_path: Path):
    out = tmp_path / "vectors.npy"
    done = embed(str(photos), str(exported), out, part_size=3, batch_size=2)
    assert (done.photos, done.dimension, done.parts, len(done.skipped)) == (7, 8, 3, 1)
    read = read_vectors(out)
    assert read.about.root == photos.resolve()
    paths = [photos / path for path in read.rows.paths]
    assert paths == sorted(path for path in photos.rglob("*.jpg") if path.name != "broken.jpg")
    for path, digest, size in zip(paths, read.rows.sha256, read.rows.sizes):
        assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
        assert size == path.stat().st_size
    np.testing.assert_allclose(read.rows.vectors, open_encoder(exported).encode(paths), atol=1e-5)
    assert "broken.jpg" in (tmp_path / "vectors.npy.skipped.txt").read_text()
    assert not (tmp_path / "vectors.npy.parts").exists()


def test_a_list_of_absolute_paths_gives_paths_from_its_own_folder_on(photos: Path, exported: Path, tmp_path: Path):
    listed = sorted(photos.glob("class1/*.jpg"))
    (tmp_path / "list.txt").write_text("".join(f"{path.resolve()}\n" for path in listed))
    embed(str(tmp_path / "list.txt"), str(exported), tmp_path / "vectors.npy")
    read = read_vectors(tmp_path / "vectors.npy")
    assert read.about.root == tmp_path.resolve()
    assert read.rows.paths == [path.relative_to(tmp_path).as_posix() for path in listed]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes any bytes as a name")
def test_a_name_that_is_no_utf8_is_left_out_and_listed_and_the_others_are_embedded(
    photos: Path, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    odd = os.fsdecode(os.fsencode(photos) + b"/caf\xe9.jpg")
    shutil.copy(next(photos.glob("class1/*.jpg")), odd)
    out = tmp_path / "vectors.csv"
    command(["embed", str(photos), "--encoder", str(exported), "--out", str(out)])
    printed = capsys.readouterr().out
    assert "caf\\udce9.jpg has a name that is not UTF-8, which no file of vectors holds; rename it." in printed
    assert "7 photos, 8 dimensions" in printed
    assert len(read_vectors(out)) == 7


def test_a_second_run_into_the_same_file_is_refused(photos: Path, exported: Path, tmp_path: Path):
    out, errors = tmp_path / "vectors.npy", []

    def second() -> None:
        try:
            embed(str(photos), str(exported), out)
        except Busy as error:
            errors.append(error)

    with sole_writer(out):
        thread = Thread(target=second)  # the same thread may ask again
        thread.start()
        thread.join()
    assert len(errors) == 1
    assert not out.with_name("vectors.npy.parts").exists()


def test_a_stopped_run_goes_on_and_gives_the_same_file(
    photos: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole, out = tmp_path / "whole.safetensors", tmp_path / "vectors.safetensors"
    embed(str(photos), str(exported), whole, part_size=2)
    made = []

    def stop_after_two(plan, number, *arguments):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(number)
        return parts.make_part(plan, number, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(local, "make_part", stop_after_two)
        with pytest.raises(KeyboardInterrupt):
            embed(str(photos), str(exported), out, part_size=2)
    assert not out.exists()
    done = embed(str(photos), str(exported), out, part_size=2)
    assert (done.done_before, done.parts) == (2, 4)
    assert out.read_bytes() == whole.read_bytes()


def test_parts_of_other_photos_are_not_mixed_in(
    photos: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "vectors.npy"
    with monkeypatch.context() as patch:
        patch.setattr(run, "_finish", lambda *_: pytest.fail("stopped"))
        with pytest.raises(pytest.fail.Exception):
            embed(str(photos), str(exported), out, part_size=2)
    (photos / "class1" / "new.jpg").write_bytes((photos / "class0" / "broken.jpg").read_bytes())
    with pytest.raises(OutputExists, match="parts of another run"):
        embed(str(photos), str(exported), out, part_size=2)
    assert embed(str(photos), str(exported), out, part_size=2, overwrite=True).done_before == 0


def test_the_command_prints_what_it_did_and_replaces_nothing_unasked(
    photos: Path, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "vectors.csv"
    words = ["embed", str(photos), "--encoder", str(exported), "--out", str(out)]
    command(words)
    text = capsys.readouterr().out
    assert "7 photos, 8 dimensions, encoded by old" in text
    assert "1 image could not be read" in text
    before = out.read_bytes()
    with pytest.raises(OutputExists):
        command(words)
    command([*words, "--overwrite"])
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"processes": 0}, UsageError),
        ({"batch_size": 0}, UsageError),
        ({"out": Path("vectors.h5")}, UsageError),
        ({"data": "absent"}, DataError),
        ({"encoder": "absent"}, ArtifactError),
    ],
)
def test_what_cannot_be_done_writes_nothing(
    photos: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change, error
):
    monkeypatch.chdir(tmp_path)
    asked = {"data": str(photos), "encoder": str(exported), "out": Path("vectors.npy")} | change
    with pytest.raises(error):
        embed(**asked)
    assert {path.name for path in tmp_path.iterdir()} == {"photos"}


def test_photos_that_are_all_broken_are_refused(exported: Path, tmp_path: Path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match="None of the 1 images"):
        embed(str(tmp_path / "broken"), str(exported), tmp_path / "vectors.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]  # no parts that the next run would be refused for


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_run_of_several_processes_goes_on_and_loses_and_doubles_nothing(
    photos: Path, exported: Path, tmp_path: Path
):
    out = tmp_path / "vectors.npy"
    embed(str(photos), str(exported), tmp_path / "whole.npy", part_size=1)
    code = (
        "from pathlib import Path\nfrom goodviews.export.embedding.embed import embed\nif __name__ == '__main__':\n"
        f"    embed({str(photos)!r}, {str(exported)!r}, Path({str(out)!r}), part_size=1, processes=2)\n"
    )
    (tmp_path / "script.py").write_text(code)
    process = subprocess.Popen([sys.executable, tmp_path / "script.py"], start_new_session=True)
    while process.poll() is None and not list(tmp_path.glob("vectors.npy.parts/part-*.npz")):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if not out.exists():
        embed(str(photos), str(exported), out, part_size=1, processes=2)
    assert (tmp_path / "whole.npy.rows.csv").read_text() == (tmp_path / "vectors.npy.rows.csv").read_text()
    np.testing.assert_allclose(np.load(out), np.load(tmp_path / "whole.npy"), atol=1e-6)
