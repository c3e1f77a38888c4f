"""Parts on this machine: in this process, or in several that are replaced where one is killed."""

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from ...hub.deep_pixels import split_values
from ...hub.errors import GoodviewsError
from ...hub.machine import cores
from ...hub.onnx_encoder import is_exported
from ...hub.photo_encoder import PhotoEncoder, open_encoder
from ...hub.sources.source import Source
from .parts import Plan, make_part, open_photos, part_file

log = logging.getLogger(__name__)

TRIES = 5  # how often a run begins again after a process of it was killed


def alone(plan: Plan, missing: list[int], folder: Path, processes: int, device: str) -> Iterator[int]:
    """The numbers of parts as they are done, in this process."""
    source, encoder = open_photos(plan.data), open_share(plan.encoder, device, processes)
    for number in missing:
        make_part(plan, number, source, encoder, folder)
        yield number


_worker: tuple[Plan, Source, PhotoEncoder, Path]  # of a process that embeds


def _begin(plan: Plan, folder: Path, processes: int, device: str) -> None:
    global _worker
    _worker = plan, open_photos(plan.data), open_share(plan.encoder, device, processes), folder


def _work(number: int) -> int:
    plan, source, encoder, folder = _worker
    make_part(plan, number, source, encoder, folder)
    return number


def in_processes(plan: Plan, missing: list[int], folder: Path, processes: int, device: str) -> Iterator[int]:
    """Where a process is killed, the parts that are not there yet are given to new ones."""
    for attempt in range(TRIES):
        missing = [number for number in missing if not part_file(folder, number).is_file()]
        spawn = get_context("spawn")  # a process forked from one that runs a network may hang in its locks
        with ProcessPoolExecutor(processes, spawn, _begin, (plan, folder, processes, device)) as pool:
            try:
                for work in as_completed([pool.submit(_work, number) for number in missing]):
                    yield work.result()
            except BrokenProcessPool:
                log.warning("a process was killed; the parts it had not written are embedded again (%d)", attempt + 1)
                continue
        return
    raise GoodviewsError(
        f"Processes were killed {TRIES} times, perhaps for lack of memory; what is done lies in {folder}. Run the "
        "command again, with fewer --processes or a smaller --batch-size."
    )


def open_share(name: str, device: str, processes: int) -> PhotoEncoder:
    """An encoder that takes its share of the cores."""
    threads = max(1, cores() // processes)
    if not is_exported(split_values(name)[0]):
        import torch

        torch.set_num_threads(min(threads, int(os.environ.get("OMP_NUM_THREADS") or threads)))
    return open_encoder(name, device=device, verify=processes == 1, threads=threads)
