"""Parts on a Ray cluster: actors hold the encoder, Ray Data hands each a part's number, and the part is written whole.

A machine or a process that dies takes at most the part it was at; Ray starts another actor, and the part is made again
under the same name. The folders of data, encoder and output must be shared by the machines. Only this file imports ray.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...hub.errors import GoodviewsError, MissingExtra
from .local import open_share
from .parts import Plan, make_part, open_photos, part_file


def run_on_ray(plan: Plan, missing: list[int], folder: Path, processes: int, device: str) -> Iterator[int]:
    """The numbers of parts as they are done, in any order.

    A cluster that RAY_ADDRESS names is joined; without one Ray is started on this machine.

    Args:
        processes: actors; each takes one core, or one GPU where `device` is one.

    Raises:
        MissingExtra: Ray is not installed.
    """
    if not missing:
        return
    ray = _ray()
    was_running = ray.is_initialized()
    if not was_running:
        ray.init(log_to_driver=False, include_dashboard=False, configure_logging=False)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        resources: dict[str, Any] = {"num_gpus": 1} if device.startswith("cuda") else {"num_cpus": 1}
        numbers = ray.data.from_items([{"part": number} for number in missing], override_num_blocks=len(missing))
        done = numbers.map_batches(
            Embedder,
            fn_constructor_args=(plan, folder.resolve(), device, os.environ.get("OMP_NUM_THREADS")),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=processes),
            **resources,
        )
        for row in done.iter_rows():
            yield int(row["part"])
    finally:
        if not was_running:
            ray.shutdown()
    absent = [number for number in missing if not part_file(folder, number).is_file()]
    if absent:
        raise GoodviewsError(
            f"{len(absent)} of {plan.parts} parts are not in {folder}, though actors wrote them: the machines of the "
            "cluster do not share that folder; give --out on shared storage."
        )


class Embedder:
    """An actor: opens photos and encoder once, then makes parts."""

    def __init__(self, plan: Plan, folder: Path, device: str, threads: str | None):
        if threads:
            os.environ["OMP_NUM_THREADS"] = threads
        self.plan, self.folder = plan, folder
        self.source, self.encoder = open_photos(plan.data), open_share(plan.encoder, device, 10**6)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        for number in batch["part"]:
            if not part_file(self.folder, int(number)).is_file():
                make_part(self.plan, int(number), self.source, self.encoder, self.folder)
        return batch


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ModuleNotFoundError:
        raise MissingExtra("ray", extra="cluster", needed_for="--engine ray") from None
    return ray
