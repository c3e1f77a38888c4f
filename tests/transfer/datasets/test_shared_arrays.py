"""Arrays that processes share: one file for all of them, which no end of a process leaves behind."""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from goodviews.hub.errors import GoodviewsError
from goodviews.transfer.datasets.shared_arrays import SharedArrays

ARRAYS = {
    "numbers": np.arange(7.0),
    "boxes": np.arange(12, dtype=np.int64).reshape(3, 4),
    "flags": np.array([True, False]),
    "nothing": np.zeros((0, 4)),
}
TWO_PROCESSES = """
import multiprocessing, os, pickle, sys, time
import numpy as np
from goodviews.transfer.datasets.shared_arrays import SharedArrays

def place(arrays):
    file = os.fstat(arrays._file.fileno())
    return file.st_dev, file.st_ino

def use(arrays, pipe):
    pipe.send((place(arrays), arrays["numbers"].sum()))
    pipe.poll(None)  # until the other end goes

if __name__ == "__main__":
    arrays = SharedArrays({"numbers": np.arange(1000.0)})
    new = multiprocessing.get_context("spawn")
    ours, theirs = new.Pipe()
    process = new.Process(target=use, args=(arrays, theirs))
    process.start()
    theirs.close()
    assert ours.recv() == (place(arrays), 499500.0)
    with open("/proc/self/maps") as maps:
        print("/dev/shm" in maps.read(), flush=True)
    if "wait" in sys.argv:
        time.sleep(60)
    ours.close()
    process.join()
"""


def test_arrays_are_those_that_were_given_and_cannot_be_changed():
    shared = SharedArrays(ARRAYS)
    assert list(shared) == list(ARRAYS)
    for name, array in shared.items():
        np.testing.assert_array_equal(array, ARRAYS[name], strict=True)
    with pytest.raises(ValueError, match="read-only"):
        shared["numbers"][0] = 1


def test_no_arrays_are_arrays_too():
    assert len(pickle.loads(pickle.dumps(SharedArrays({})))) == 0


def test_whoever_unpickles_them_gets_a_handle_to_the_same_file():
    shared = SharedArrays({"numbers": np.zeros(1_000_000)})
    written = pickle.dumps(shared)
    assert len(written) < 1000
    assert os.fstat(pickle.loads(written)._file.fileno()).st_ino == os.fstat(shared._file.fileno()).st_ino


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the open files of a process in /proc")
@pytest.mark.parametrize("ending", ["at its end", "killed"])
def test_two_processes_read_one_file_and_nothing_of_it_stays(tmp_path: Path, ending: str):
    temporary, script = tmp_path / "temporary", tmp_path / "two_processes.py"
    temporary.mkdir()
    script.write_text(TWO_PROCESSES)
    words = [sys.executable, str(script), *(["wait"] if ending == "killed" else [])]
    with subprocess.Popen(
        words, env={**os.environ, "TMPDIR": str(temporary)}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        in_shared_memory = process.stdout.readline().strip()
        if ending == "killed":
            process.send_signal(signal.SIGKILL)
        assert process.wait(60) == (-signal.SIGKILL if ending == "killed" else 0)
        process.stdout.read()  # to its end, which is that of the other process
    assert in_shared_memory == "False"
    assert list(temporary.iterdir()) == []


def test_a_full_temporary_folder_is_a_sentence(monkeypatch: pytest.MonkeyPatch):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: full.open("wb", buffering=0))
    with pytest.raises(GoodviewsError, match=r"need .* MB in .*: No space left on device.*set TMPDIR"):
        SharedArrays(ARRAYS)
