import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from goodviews.hub import GoodviewsError, OutputExists
from goodviews.hub.errors import Busy
from goodviews.hub.files import atomic
from goodviews.hub.files.atomic import new_folder, write_json, write_text
from goodviews.hub.files.overwrite import refuse_folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_only_when_its_block_ends_well(tmp_path):
    with new_folder(tmp_path / "out", kind="index") as partial:
        (partial / "a").write_text("1")
        assert not (tmp_path / "out").exists()
    assert names(tmp_path) == ["out"]
    with pytest.raises(ValueError), new_folder(tmp_path / "other", kind="index") as partial:
        (partial / "a").write_text("1")
        raise ValueError
    assert names(tmp_path) == ["out"]


def test_an_existing_folder_is_kept_unless_it_may_be_replaced(tmp_path):
    with new_folder(tmp_path / "out", kind="index") as partial:
        write_text(partial / "a", "old")
    with pytest.raises(OutputExists, match="--overwrite"), new_folder(tmp_path / "out", kind="index"):
        pass
    with pytest.raises(ValueError), new_folder(tmp_path / "out", overwrite=True, kind="index"):
        raise ValueError
    assert (tmp_path / "out" / "a").read_text() == "old"
    with new_folder(tmp_path / "out", overwrite=True, kind="index") as partial:
        (partial / "b").write_text("new")
    assert names(tmp_path / "out") == [".goodviews", "b"]
    assert names(tmp_path) == ["out"]


def test_an_empty_folder_may_be_filled(tmp_path):
    refuse_folder(tmp_path, False, kind="index")
    with new_folder(tmp_path / "x", kind="index") as partial:
        (partial / "a").touch()


def test_a_full_disk_leaves_the_old_file_and_one_sentence(tmp_path, monkeypatch):
    path = write_text(tmp_path / "a.json", "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(GoodviewsError, match="No space left on device"):
        write_json(path, {"new": 1})
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_numbers_that_json_lacks_are_refused(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"loss": float("nan")})


WRITER = """
import os, signal, sys
from pathlib import Path
from goodviews.hub.files import atomic
out, fault = Path(sys.argv[1]), sys.argv[2]
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
def wait(*_): print("here", flush=True); sys.stdin.read()
act = wait if fault.startswith("wait") else die
if "aside" in fault:
    atomic._exchange = lambda one, other: False
    rename = Path.rename
    Path.rename = lambda self, target: act() if self.name.endswith(".partial") else rename(self, target)
elif "file" in fault:
    os.fsync = act
with atomic.new_folder(out, True, kind="index") as partial:
    (partial / "new").touch()
    if "file" in fault:
        atomic.write_text(out.parent / "note.txt", "new")
    if "folder" in fault:
        act()
"""


def write_in_a_process(out: Path, fault: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(out), fault], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def old_folder(out: Path) -> Path:
    with new_folder(out, kind="index") as partial:
        (partial / "old").touch()
    return out


@pytest.mark.parametrize("fault", ["folder", "file", "aside"])
def test_the_next_command_removes_what_a_killed_one_left_and_loses_nothing(tmp_path: Path, fault: str):
    out = old_folder(tmp_path / "out")
    assert write_in_a_process(out, fault).wait(timeout=60) == -signal.SIGKILL
    assert [name for name in names(tmp_path) if name.endswith((".partial", ".old"))]
    with pytest.raises(OutputExists):
        refuse_folder(out, False, kind="index")
    write_text(tmp_path / "note.txt", "mine")
    assert names(tmp_path) == ["note.txt", "out"]
    assert names(out) == [".goodviews", "old"]


def test_what_a_living_process_writes_stays(tmp_path: Path):
    out = old_folder(tmp_path / "out")
    writer = write_in_a_process(out, "wait folder")
    assert writer.stdout is not None
    writer.stdout.readline()
    before = names(tmp_path)
    assert len(before) == 3
    with pytest.raises(Busy, match=rf"process {writer.pid} on "), new_folder(out, True, kind="index"):
        pass
    assert names(tmp_path) == before
    writer.communicate("", timeout=60)
    assert writer.returncode == 0
    assert names(tmp_path) == ["out"]
    assert names(out) == [".goodviews", "new"]


def test_a_leftover_whose_owner_cannot_be_known_stays(tmp_path: Path):
    write_text(tmp_path / ".out.abc.partial" / "a", "of an earlier version")
    with new_folder(tmp_path / "out", kind="index"):
        pass
    assert names(tmp_path) == [".out.abc.partial", "out"]


def test_readers_find_a_folder_at_every_moment_while_it_is_replaced(tmp_path: Path):
    probe = old_folder(tmp_path / "probe")
    if not atomic._exchange(probe, old_folder(tmp_path / "other")):
        pytest.skip("this disk cannot exchange two folders")
    out, misses, stop = old_folder(tmp_path / "out"), [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            if not os.access(out, os.F_OK):
                misses.append(1)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(200):
        with new_folder(out, True, kind="index"):
            pass
    stop.set()
    reader.join()
    assert not misses


def test_where_folders_cannot_be_exchanged_two_renames_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)
    out = old_folder(tmp_path / "out")
    with new_folder(out, True, kind="index") as partial:
        (partial / "new").touch()
    assert names(out) == [".goodviews", "new"]
    assert names(tmp_path) == ["out"]
