"""Two commands that write one index at once: the second is told who holds it, and no photo is lost."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from goodviews.export.index.build import build
from goodviews.export.index.image_index import load
from goodviews.export.index.update import add, remove
from goodviews.hub import open_encoder
from goodviews.hub.cli import run
from goodviews.hub.errors import Busy

TINY = "random:resnet18-w0.25-32px"
HOLDER = """
import sys
from pathlib import Path
from goodviews.hub.files.locks import sole_writer
with sole_writer(Path(sys.argv[1])):
    print("here", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def places(tmp_path: Path, gallery: list[Path]) -> tuple[Path, Path, Path]:
    """An index of two photos, and two folders of one more photo each."""
    for name, some in (("photos", gallery[:2]), ("one", gallery[2:3]), ("other", gallery[3:4])):
        (tmp_path / name).mkdir()
        for photo in some:
            shutil.copy(photo, tmp_path / name)
    build(open_encoder(TINY), tmp_path / "photos", tmp_path / "index")
    return tmp_path / "index", tmp_path / "one", tmp_path / "other"


def test_a_second_command_on_an_index_is_refused_while_the_first_writes(places: tuple[Path, Path, Path]):
    index, one, _ = places
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(index)], **pipes, text=True)
    assert holder.stdout is not None
    holder.stdout.readline()
    build_again = ["index", "build", "--encoder", TINY, "--images", str(one), "--out", str(index), "--overwrite"]
    for words in (
        ["index", "add", str(index), "--images", str(one)],
        ["index", "remove", str(index), "0"],
        build_again,
    ):
        with pytest.raises(Busy, match=rf"index is being written by process {holder.pid} on "):
            run(words)
    holder.communicate("", timeout=60)
    run(["index", "add", str(index), "--images", str(one)])
    assert len(load(index)) == 3
    assert not list(index.parent.glob(".*"))


def test_whoever_opened_an_index_before_others_changed_it_loses_nothing_of_theirs(places: tuple[Path, Path, Path]):
    index, one, other = places
    encoder = open_encoder(TINY)
    first, second, third = load(index), load(index), load(index)
    add(first, encoder, one)
    assert (len(first), len(second)) == (3, 2)  # the second sees the index as it was opened
    add(second, encoder, other)
    remove(third, ["0"])
    assert [item.id for item in load(index).items] == [1, 2, 3]
    assert first.reload()
    assert len(first) == 3


def test_adding_to_no_index_makes_no_folder(tmp_path: Path):
    with pytest.raises(Exception, match="holds no index"):
        run(["index", "add", str(tmp_path / "a" / "index"), "--images", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []
