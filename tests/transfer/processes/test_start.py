"""Several processes of a task: they meet, share, and end with a sentence where one of them fails."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
import torch.distributed as dist

from goodviews.hub.errors import DataError, GoodviewsError, UsageError
from goodviews.transfer.processes.meeting import Meeting
from goodviews.transfer.processes.sharing import gather, rank_and_world, sum_over_processes, value_of_first
from goodviews.transfer.processes.start import _require_all, check_processes, others_run

CPU = torch.device("cpu")


def share(device: torch.device, number: int) -> None:
    assert device == CPU
    assert rank_and_world() == (1, 2)
    assert gather("mine") == []
    assert sum_over_processes(1.0, number) == [3.0, 7.0]
    assert value_of_first(lambda: "mine") == "of the first"


def fail(device: torch.device, how: str) -> None:
    if how == "sentence":
        raise DataError("A photo is damaged.")
    if how == "bug":
        raise KeyError("name")
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    sum_over_processes(1.0)


def _explode() -> None:
    raise ValueError("cannot be unpacked")


class Mine:
    """Ends the process that it is sent to, before that can meet the others."""

    def __reduce__(self) -> Any:
        return _explode, ()


def test_one_process_starts_none_and_shares_with_itself():
    with others_run(fail, ("killed",), processes=1, device=CPU):
        assert rank_and_world() == (0, 1)
        assert gather(3) == [3]
        assert sum_over_processes(1.0, 2.0) == [1.0, 2.0]
        assert value_of_first(lambda: "own") == "own"


@pytest.mark.slow
def test_two_processes_share_values_and_leave_no_group_behind():
    with others_run(share, (4,), processes=2, device=CPU):
        assert gather("of the first") == ["of the first", "mine"]
        assert sum_over_processes(2.0, 3.0) == [3.0, 7.0]
        assert value_of_first(lambda: "of the first") == "of the first"
    assert not dist.is_initialized()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("sentence", r"^Process 1 of 2 ended: A photo is damaged\.$"),
        ("killed", "^Process 1 of 2 was ended by SIGKILL, perhaps since the memory was full"),
        (Mine(), "^Process 1 of 2 ended with status 1; what it printed tells why"),
    ],
    ids=["with a sentence", "killed", "before the meeting"],
)
def test_a_process_that_ends_is_one_sentence_within_seconds(how: Any, sentence: str):
    start_s = time.monotonic()
    with pytest.raises(GoodviewsError, match=sentence), others_run(fail, (how,), processes=2, device=CPU):
        sum_over_processes(1.0)
        sum_over_processes(1.0)
    assert time.monotonic() - start_s < 60  # torch alone waits for half an hour
    assert not dist.is_initialized()


@pytest.mark.slow
def test_no_process_outlives_the_first_whatever_it_waits_for(tmp_path):
    script = tmp_path / "first.py"
    script.write_text(ENDLESS)
    where = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=where) as first:
        assert first.stdout is not None
        other = int(first.stdout.readline())
        first.kill()
    end_s = time.monotonic() + 60
    while is_running(other) and time.monotonic() < end_s:
        time.sleep(0.2)
    assert not is_running(other)
    assert list(tmp_path.glob("goodviews-*")) == []


def is_running(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


ENDLESS = """
import os, time, torch
from goodviews.transfer.processes.start import others_run

def wait(device):
    print(os.getpid(), flush=True)
    time.sleep(1000)

if __name__ == "__main__":
    with others_run(wait, (), processes=2, device=torch.device("cpu")):
        time.sleep(1000)
"""


def test_a_process_whose_others_never_come_asks_whether_they_still_can(tmp_path):
    def give_up() -> None:
        raise GoodviewsError("The others are gone.")

    store = dist.FileStore(str(tmp_path / "meeting"), 2)
    with pytest.raises(GoodviewsError, match="The others are gone"):
        Meeting(store, 0, 2, give_up).join(CPU)


def test_the_process_that_ended_first_is_named_before_those_that_ended_with_it(tmp_path):
    meeting = Meeting(dist.FileStore(str(tmp_path / "meeting"), 3), 0, 3, lambda: None)
    ended = [SimpleNamespace(exitcode=status) for status in (3, -signal.SIGKILL)]
    with pytest.raises(GoodviewsError, match=r"^Process 2 of 3 was ended by SIGKILL"):
        _require_all(ended, meeting)
    with pytest.raises(GoodviewsError, match=r"^Process 1 of 3 lost its connection"):
        _require_all([ended[0], SimpleNamespace(exitcode=None)], meeting)


def test_a_connection_that_breaks_while_all_live_gives_its_cause(tmp_path):
    meeting = Meeting(dist.FileStore(str(tmp_path / "meeting"), 2), 0, 2, lambda: None, ending_s=0.0)
    sentence = meeting.failure_soon(RuntimeError("NCCL error: no shared memory\nframe 1"))
    assert sentence.startswith("The 2 processes lost their connection (NCCL error: no shared memory).")


def test_processes_without_a_gpu_each_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match="2 processes need a GPU each; torch sees 1"):
        check_processes(2, torch.device("cuda"))
    with pytest.raises(UsageError, match="where torch sees no GPU"):
        check_processes(2, CPU)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    with pytest.raises(UsageError, match="leave out --device cuda:1, or choose the GPUs with CUDA_VISIBLE_DEVICES"):
        check_processes(2, torch.device("cuda:1"))
