"""A real run of the training loop, watched from outside: for benchmarks of what the loop adds to a step."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from goodviews.hub.sources.folders import find_images
from goodviews.pretrain.data.loader import Batch
from goodviews.pretrain.options import USUAL, Options
from goodviews.pretrain.recipe import Recipe
from goodviews.pretrain.training import loop
from goodviews.pretrain.training.prepare import prepare
from goodviews.pretrain.training.run import Run
from goodviews.pretrain.training.stop_signals import StopRequest

PHOTOS = Path(__file__).parent.parent / "tests" / "photos"


@dataclass(frozen=True)
class Watched:
    """Seconds of each step after those that warm up, and of them, where asked for, the seconds within some calls."""

    steps: list[float]
    inside: list[float]
    images_per_s: float


class _Enough(Exception):
    """The steps asked for are done."""


def watch(
    recipe: Recipe,
    images: Path,
    *,
    steps: int,
    warm_up: int,
    synthetic: bool = False,
    separate: bool = False,
    options: Options = USUAL,
    clock: Callable[[], float] = time.perf_counter,
) -> Watched:
    """Run `warm_up` + `steps` steps of a recipe through the loop itself, data, metrics and all.

    Args:
        images: a folder; its photos are used as often as it takes.
        synthetic: take one batch of views, rendered once and lying on the device, for every step.
        separate: take the time of the objective, the backward pass and the optimiser too; a GPU then waits for each.
        clock: of the steps' seconds; `time.process_time` where other work shares the processor.
    """
    with TemporaryDirectory() as folder, ExitStack() as stack:
        listed = repeated(images, Path(folder) / "photos.txt", at_least=4 * recipe.batch_size)
        longer = replace(recipe, epochs=10**6)
        endless = replace(options, save_every=10**9)
        run = prepare(longer, listed, Path(folder) / "run", endless, lambda now: None, stack=stack)
        if synthetic:
            _feed_one_batch(run)
        return _drive(run, steps, warm_up, separate, clock)


def repeated(images: Path, path: Path, *, at_least: int) -> Path:
    """A list that names the photos of a folder as often as it takes to have so many."""
    photos = find_images(images)
    names = itertools.islice(itertools.cycle(photos), max(at_least, len(photos)))
    path.write_text("".join(f"{photo.resolve()}\n" for photo in names), "utf-8")
    return path


def _feed_one_batch(run: Run) -> None:
    whole = run.loader.epoch(0)
    batch = replace(next(whole), wait_s=0.0)
    run.loader.close()

    def again(epoch: int, start_step: int = 0) -> Iterator[Batch]:
        return itertools.repeat(batch, run.loader.steps_per_epoch - start_step)

    run.loader.epoch = again  # type: ignore[method-assign]


def _drive(run: Run, steps: int, warm_up: int, separate: bool, clock: Callable[[], float]) -> Watched:
    ends: list[float] = []
    inside: list[float] = []
    spent = _Spent(run.accelerator.device)
    record = run.monitor.record

    def record_and_count(*given: Any, **named: Any) -> None:
        record(*given, **named)
        if len(ends) in (warm_up, warm_up + steps) or separate:
            spent.wait()
        ends.append(clock())
        inside.append(spent.take())
        if len(ends) == warm_up + steps + 1:
            raise _Enough

    run.monitor.record = record_and_count  # type: ignore[method-assign]
    if separate:
        run.objective = spent.of(run.objective)
        run.accelerator.backward = spent.of(run.accelerator.backward)  # type: ignore[method-assign]
        run.optimizer.step = spent.of(run.optimizer.step)  # type: ignore[method-assign]
    try:
        loop._learn(run, StopRequest())
    except _Enough:
        pass
    finally:
        run.loader.close()
    taken = [after - before for before, after in itertools.pairwise(ends[warm_up:])]
    return Watched(taken, inside[warm_up + 1 :], run.recipe.batch_size * steps / (ends[-1] - ends[warm_up]))


class _Spent:
    """Adds up the time within calls."""

    def __init__(self, device: torch.device):
        self.device, self.seconds = device, 0.0

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def take(self) -> float:
        seconds, self.seconds = self.seconds, 0.0
        return seconds

    def of(self, call: Any) -> "_Timed":
        return _Timed(call, self)


class _Timed:
    """Anything that is called, with its time taken; else as it is."""

    def __init__(self, call: Any, spent: _Spent):
        self._call, self._spent = call, spent

    def __call__(self, *given: Any, **named: Any) -> Any:
        self._spent.wait()
        begun = time.perf_counter()
        made = self._call(*given, **named)
        self._spent.wait()
        self._spent.seconds += time.perf_counter() - begun
        return made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)
