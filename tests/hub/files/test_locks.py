"""One writer at a time: the second is told who the first is, and a dead one is no obstacle."""

import os
import platform
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from goodviews.hub.errors import Busy
from goodviews.hub.files import locks
from goodviews.hub.files.atomic import new_folder
from goodviews.hub.files.leftovers import remove_leftovers
from goodviews.hub.files.locks import refuse_busy, sole_writer

HOLDER = """
import sys
from pathlib import Path
from goodviews.hub.files.locks import sole_writer
with sole_writer(Path(sys.argv[1])):
    print("here", flush=True)
    sys.stdin.read()
"""


def hold(place: Path) -> subprocess.Popen[str]:
    """Another process that writes `place` until its input ends."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(place)], **pipes, text=True)
    assert holder.stdout is not None
    holder.stdout.readline()
    return holder


def test_the_second_is_told_who_holds_it_and_the_lock_leaves_nothing(tmp_path: Path):
    holder = hold(tmp_path / "run")
    told = rf"run is being written by process {holder.pid} on {re.escape(platform.node())}, since 20\d\d-.* UTC; wait"
    with pytest.raises(Busy, match=told), sole_writer(tmp_path / "run"):
        pass
    with pytest.raises(Busy, match=told):
        refuse_busy(tmp_path / "run")
    with pytest.raises(Busy, match=told), new_folder(tmp_path / "run", kind="result"):
        pass
    holder.communicate("", timeout=60)
    with sole_writer(tmp_path / "run"):
        assert [path.name for path in tmp_path.iterdir()] == [".run.writer.lock"]
    assert list(tmp_path.iterdir()) == []


def test_a_dead_holder_is_no_obstacle_and_its_lock_is_removed_by_the_next_command(tmp_path: Path):
    for act in (lambda: refuse_busy(tmp_path / "run"), lambda: remove_leftovers(tmp_path / "run")):
        holder = hold(tmp_path / "run")
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait(timeout=60)
        assert (tmp_path / ".run.writer.lock").exists()
        act()
    assert list(tmp_path.iterdir()) == []


def test_a_waiting_process_goes_on_when_the_holder_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    holder = hold(tmp_path / "cache")
    threading.Timer(0.5, lambda: holder.communicate("", timeout=60)).start()
    with sole_writer(tmp_path / "cache", wait_s=60.0):
        assert f"Waiting: {tmp_path / 'cache'} is being written by process {holder.pid}" in caplog.text


def test_the_same_thread_may_ask_again_and_another_may_not(tmp_path: Path):
    refusals: list[Busy] = []

    def ask() -> None:
        try:
            with sole_writer(tmp_path / "index"):
                pass
        except Busy as busy:
            refusals.append(busy)

    with sole_writer(tmp_path / "index"):
        with sole_writer(tmp_path / "index"):
            pass
        other = threading.Thread(target=ask)
        other.start()
        other.join()
        assert (tmp_path / ".index.writer.lock").exists()
    assert len(refusals) == 1


def test_of_many_that_write_at_once_one_does(tmp_path: Path):
    writing, most = [], []

    def write() -> None:
        for _ in range(10):
            with sole_writer(tmp_path / "place", wait_s=60.0):
                writing.append(1)
                most.append(len(writing))
                writing.pop()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 40


def test_where_the_folder_around_may_not_be_written_the_lock_lies_inside(tmp_path: Path, monkeypatch):
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(locks.os, "access", lambda path, mode: path != tmp_path)
    with sole_writer(tmp_path / "run"):
        assert [path.name for path in (tmp_path / "run").iterdir()] == [locks.SUFFIX]


def test_a_disk_without_locks_refuses_nobody(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(locks, "try_lock", lambda handle: None)
    with sole_writer(tmp_path / "run"):
        assert list(tmp_path.iterdir()) == []


FORKS = """
import os, sys, time
from pathlib import Path
from goodviews.hub.files.locks import sole_writer
with sole_writer(Path(sys.argv[1])):
    worker = os.fork()
    if worker == 0:
        time.sleep(60)
        os._exit(0)
    print(worker, flush=True)
    time.sleep(60)
"""


def test_a_worker_that_outlives_its_killed_process_does_not_hold_the_lock_for_it(tmp_path: Path):
    words = [sys.executable, "-c", FORKS, str(tmp_path / "run")]
    holder = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    worker = int(holder.stdout.readline())
    with pytest.raises(Busy):
        refuse_busy(tmp_path / "run")
    holder.kill()
    holder.wait(timeout=60)
    with sole_writer(tmp_path / "run"):
        os.kill(worker, signal.SIGKILL)  # it was alive until now
