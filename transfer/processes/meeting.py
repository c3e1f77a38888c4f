"""Where the processes of a task meet, and what becomes of one that fails: one sentence, in seconds.

They meet in a store of torch.distributed. Each waits until all have come before it connects to them, and looks
meanwhile whether that can still happen: torch itself would wait for half an hour for a process that has died.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]

from ...hub.errors import EndedTogether, GoodviewsError
from ...hub.lost_workers import lost_workers

Job = Callable[..., None]  # given the device of the process and the arguments of the task
Watch = Callable[[], None]  # raises where waiting is of no use any more

_LOOK_EVERY_S = 0.05
_WAIT = timedelta(minutes=30)  # for a process that is busy otherwise, e.g. the first one with scores
_CONNECTION = ("gloo", "NCCL", "ProcessGroup", "Connection closed by peer", "Connection reset by peer", "Broken pipe")


@dataclass(frozen=True)
class Meeting:
    """One process's part in it."""

    store: Store
    rank: int
    world: int
    watch: Watch
    ending_s: float = 10.0  # a process is gone, so that `watch` sees it, later than its connection

    def join(self, device: torch.device) -> None:
        """Waits for the others and makes a group of all."""
        self.store.set(f"here {self.rank}", "1")
        self.wait_for(*(f"here {rank}" for rank in range(self.world)))
        if device.type == "cuda":
            torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        store = PrefixStore("group", self.store)
        dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.world, timeout=_WAIT)

    def wait_for(self, *keys: str) -> None:
        """Until all keys are set."""
        while not self.store.check(list(keys)):
            self.watch()
            time.sleep(_LOOK_EVERY_S)

    def close(self) -> None:
        """In the first process: waits until all are done, and lets them go."""
        self.wait_for(*(f"done {rank}" for rank in range(1, self.world)))
        self.store.set("over", "1")

    def take_part(self, device: torch.device, receive: Callable[[], tuple[Job, tuple[object, ...]]]) -> None:
        """What each process but the first does: its job, then it waits until the first one is done with it too.

        Raises:
            EndedTogether: what there is to say, the first process says.
        """
        try:
            self.join(device)
            job, arguments = receive()
            with lost_workers():
                job(device, *arguments)
            self.store.set(f"done {self.rank}", "1")
            self.wait_for("over")
        except EndedTogether:
            raise
        except GoodviewsError as error:
            self.store.set(f"failed {self.rank}", str(error))
            raise EndedTogether(str(error)) from error
        except Exception as error:  # whatever it is, it is raised again
            if is_of_connection(error):
                raise EndedTogether("The first process ended.") from error
            self.store.set(f"failed {self.rank}", f"{type(error).__name__}: {error}")
            raise
        finally:
            leave()

    def failure(self) -> str | None:
        """What a process said before it ended, if one did; the first process asks when it has lost a connection."""
        for rank in range(1, self.world):
            if self.store.check([f"failed {rank}"]):
                sentence = self.store.get(f"failed {rank}").decode()
                return f"Process {rank} of {self.world} ended: {sentence}"
        return None

    def failure_soon(self, error: BaseException) -> str:
        """As `failure`, or another sentence, once it can be known; `error` told that a connection is gone."""
        end_s = time.monotonic() + self.ending_s
        while time.monotonic() < end_s:
            sentence = self.failure()
            if sentence is not None:
                return sentence
            self.watch()
            time.sleep(_LOOK_EVERY_S)
        cause = (str(error).strip().splitlines() or ["no reason given"])[0]
        return (
            f"The {self.world} processes lost their connection ({cause}). If one of them ended, what it printed or the "
            "system's log tells why."
        )


def leave() -> None:
    """Ends the connections to the other processes."""
    if dist.is_initialized():
        dist.destroy_process_group()


def is_of_connection(error: BaseException) -> bool:
    """Whether an error only tells that another process is gone."""
    if not isinstance(error, RuntimeError):
        return False
    return isinstance(error, dist.DistError) or any(word in str(error) for word in _CONNECTION)
