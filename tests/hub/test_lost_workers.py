"""A killed worker process becomes one sentence by each of the ways in which it shows; other errors pass."""

import os
import signal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pipe, get_context

import pytest
from torch.utils.data import DataLoader, Dataset

from goodviews.hub.cli import COMMANDS, run
from goodviews.hub.errors import GoodviewsError
from goodviews.hub.lost_workers import lost_workers

KILLED = "A process that this command had started was killed: most often the system does that where memory is short"


class Fails(Dataset):
    """Images of which the first one does what a test asks for."""

    def __init__(self, error: Exception | None):
        self.error = error

    def __len__(self) -> int:
        return 4

    def __getitem__(self, position: int) -> int:
        if self.error is not None:
            raise self.error
        os.kill(os.getpid(), signal.SIGKILL)
        return position


def test_a_killed_loader_worker():
    with pytest.raises(GoodviewsError, match=KILLED), lost_workers():
        list(DataLoader(Fails(None), num_workers=1))


def test_a_worker_killed_while_it_hands_over_a_batch():
    with pytest.raises(GoodviewsError, match=KILLED), lost_workers():
        here, there = Pipe()
        there.close()
        here.recv()


def test_a_killed_process_of_a_pool():
    pool = ProcessPoolExecutor(1, get_context("spawn"))
    with pytest.raises(GoodviewsError, match=KILLED), lost_workers(), pool:
        pool.submit(os._exit, 1).result()


def test_a_worker_for_whom_shared_memory_is_too_small_is_told_apart():
    with pytest.raises(GoodviewsError, match="/dev/shm is too small"), lost_workers():
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. ")


def test_it_says_how_to_go_on():
    sentence = r"\(its log tells\)\. Give --resume, with fewer --workers"
    with pytest.raises(GoodviewsError, match=sentence), lost_workers("Give --resume, with fewer --workers."):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")


@pytest.mark.parametrize("error", [ConnectionResetError("of a server"), EOFError("of a file"), RuntimeError("another")])
def test_other_errors_pass(error: Exception):
    with pytest.raises(type(error), match=str(error)), lost_workers():
        raise error


@pytest.mark.parametrize("error", [FileNotFoundError(2, "photo"), EOFError("of a file"), RuntimeError("another")])
def test_errors_that_a_worker_reports_pass(error: Exception):
    with pytest.raises(type(error)), lost_workers():
        list(DataLoader(Fails(error), num_workers=1))


def test_every_command_has_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(COMMANDS, "broken", (f"{__name__}:broken", "For this test."))
    with pytest.raises(GoodviewsError, match=KILLED):
        run(["broken"])


def broken() -> None:
    """A command with a worker that is killed."""
    list(DataLoader(Fails(None), num_workers=1))
