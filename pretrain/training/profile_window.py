"""--profile STEPS: where the time of some steps goes, as a trace for chrome://tracing or https://ui.perfetto.dev."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, schedule

log = logging.getLogger(__name__)

FOLDER = "profile"  # in RUN
BEFORE = 5  # steps that pass first: workers start, kernels are chosen


@contextmanager
def profile_window(out: Path | None, steps: int | None, *, at: int) -> Iterator[Callable[[], None]]:
    """Gives what is to be called after each step; it does nothing without `steps` or without `out`.

    Args:
        out: the RUN folder; None in all processes but the first.
        steps: how many are recorded, after `BEFORE` others.
        at: the steps that are done already, for the trace's name.
    """
    if out is None or steps is None:
        yield lambda: None
        return
    path = out / FOLDER / f"steps-{at + BEFORE + 1}-{at + BEFORE + steps}.json"

    def write(profiler: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        profiler.export_chrome_trace(str(path))
        log.info("the trace of %d steps is in %s; open it in https://ui.perfetto.dev", steps, path)

    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    window = schedule(wait=BEFORE - 1, warmup=1, active=steps, repeat=1)
    with profile(activities=activities, schedule=window, on_trace_ready=write, acc_events=True) as profiler:
        yield profiler.step
