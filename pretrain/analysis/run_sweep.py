"""A sweep from its name to its report: sizes that fit the budget, points one by one or in processes, resumable.

RUN/sweep.json      what is swept: sizes, seeds, data; the same command goes on with it
RUN/points/*.json   each point and seed, as soon as it is there
RUN/report.json     all of it with intervals and curves; RUN/curve.png and RUN/report.html show it
"""

import json
import logging
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from ...hub.errors import UsageError
from ...hub.files.atomic import write_json
from ...hub.files.json_files import Place, read_json
from ...hub.files.locks import refuse_busy, sole_writer
from ...hub.files.overwrite import mark, refuse_folder
from ...hub.output.progress import track
from ...hub.reports.report import Evidence
from ..recipe import describe
from .lab_options import LabOptions
from .photo_arrays import SplitPhotos
from .point_results import PointResult, compute_point, load_result
from .sweeps import Frame, Point, Sweep

log = logging.getLogger(__name__)

FEWEST_STEPS, MOST_STEPS = 40, 20_000  # below, nothing is learned; above, these small networks gain nothing
PLAN = "sweep.json"
_TRIAL_STEPS = 6
_SPARE = 0.9  # of the budget: reading photos and drawing the report take time too

Make = Callable[[Frame], Sweep]


class Compute(Protocol):
    """What gives a point with a seed."""

    def __call__(self, sweep: Sweep, point: Point, photos: SplitPhotos, /, *, seed: int) -> PointResult: ...


@dataclass(frozen=True)
class Plan:
    """What a run computes.

    started: evidence of the first start: command, commit, hardware, date.
    """

    sweep: Sweep
    frame: Frame
    seeds: int
    data: dict[str, Any]
    started: dict[str, Any]

    def jobs(self) -> list[tuple[Point, int]]:
        """Every point with every seed; all points of a seed before the next."""
        return [(point, seed) for seed in range(self.seeds) for point in self.sweep.points]

    def identity(self) -> dict[str, Any]:
        """What a run that goes on must agree in."""
        described = {"sweep": self.sweep.name, "seeds": self.seeds, "data": self.data}
        return json.loads(json.dumps({**described, "points": describe(self.sweep.points)}))


def make_plan(out: Path, make: Make, frame: Frame, photos: SplitPhotos, options: LabOptions) -> Plan:
    """The plan that RUN holds, or a new one, whose steps fill the budget or are those of `frame`; writes nothing.

    Raises:
        UsageError: RUN holds another sweep; the budget is too short.
    """
    data, budget_s = dict(photos.about), options.budget_s
    if (out / PLAN).is_file() and not options.overwrite:
        return _earlier_plan(out, make, frame, data, seeds=options.seeds, has_budget=budget_s is not None)
    if budget_s is not None:
        frame = _fitted(make, frame, photos, seeds=options.seeds, budget_s=budget_s, processes=options.processes)
    return Plan(make(frame), frame, options.seeds, data, asdict(Evidence()))


def _earlier_plan(out: Path, make: Make, frame: Frame, data: dict[str, Any], *, seeds: int, has_budget: bool) -> Plan:
    """The plan that RUN holds, if it is the one that is asked for; of a budget the first start chose the steps."""
    before = read_json(Place(out / PLAN, "start anew with --overwrite"))
    steps = int(before["steps"]) if has_budget else frame.training.steps
    frame = replace(frame, training=replace(frame.training, steps=steps, precision=before["precision"]))
    plan = Plan(make(frame), frame, seeds, data, before["started"])
    if before["identity"] != plan.identity():
        raise UsageError(
            f"{out} holds another sweep ({before['identity'].get('sweep')}, {before['steps']} steps, with other data, "
            "seeds or sizes); give another --out, or --overwrite to start anew."
        )
    return plan


def refuse_taken(out: Path, *, overwrite: bool, data: str | None) -> None:
    """Refuse a RUN that no sweep left, or that the data lies in; before anything is read.

    Raises:
        OutputExists: something else lies there.
        Busy: another process writes there.
    """
    refuse_busy(out)
    refuse_folder(out, overwrite=overwrite or (out / PLAN).is_file(), kind="sweep", inputs=[data])


def claim(out: Path, plan: Plan, *, overwrite: bool) -> None:
    """Make RUN with its plan, or take the one that an earlier sweep left; with `overwrite` its files are removed."""
    if overwrite:
        for path in [*out.glob("points/*.json"), *(out / name for name in (PLAN, "report.json"))]:
            path.unlink(missing_ok=True)
    (out / "points").mkdir(parents=True, exist_ok=True)
    mark(out, "sweep")
    training = plan.frame.training
    about = {"identity": plan.identity(), "steps": training.steps, "precision": training.precision}
    write_json(out / PLAN, {**about, "started": plan.started})


def run_points(
    plan: Plan, photos: SplitPhotos, out: Path, *, processes: int, is_shown: bool, compute: Compute = compute_point
) -> list[PointResult]:
    """Every point that RUN lacks, then all of them; `compute` gives one of them."""
    with sole_writer(out):
        missing = [(point, seed) for point, seed in plan.jobs() if not _file(out, point, seed).is_file()]
        done = len(plan.jobs()) - len(missing)
        if done:
            log.info("%d of %d points were there from a run before", done, len(plan.jobs()))
        for point, seed, result in track(
            _Results(plan.sweep, photos, missing, processes, compute), plan.sweep.name, is_shown=is_shown
        ):
            result.save(_file(out, point, seed))
            log.info("%s", _line(result))
    return [load_result(_file(out, point, seed)) for point, seed in plan.jobs()]


class _Results:
    """The results of the missing points as they come, one process each or all in this one."""

    def __init__(
        self,
        sweep: Sweep,
        photos: SplitPhotos,
        jobs: Sequence[tuple[Point, int]],
        processes: int,
        compute: Compute,
    ):
        self.sweep, self.photos, self.jobs, self.processes, self.compute = sweep, photos, jobs, processes, compute

    def __len__(self) -> int:
        return len(self.jobs)

    def __iter__(self) -> Iterator[tuple[Point, int, PointResult]]:
        if self.processes <= 1 or len(self.jobs) < 2:
            for point, seed in self.jobs:
                yield point, seed, self.compute(self.sweep, point, self.photos, seed=seed)
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(self.processes, context, _start, (self.sweep, self.photos, self.compute)) as pool:
            for (point, seed), result in zip(self.jobs, pool.map(_in_process, self.jobs)):
                yield point, seed, result


_given: list[tuple[Sweep, SplitPhotos, Compute]] = []  # of a process of its own: what all of its points need


def _start(sweep: Sweep, photos: SplitPhotos, compute: Compute) -> None:
    torch.set_num_threads(1)
    _given[:] = [(sweep, photos, compute)]


def _in_process(job: tuple[Point, int]) -> PointResult:
    (sweep, photos, compute), (point, seed) = _given[0], job
    return compute(sweep, point, photos, seed=seed)


def _fitted(make: Make, frame: Frame, photos: SplitPhotos, *, seeds: int, budget_s: float, processes: int) -> Frame:
    """With as many steps as fill the budget, from trials of the first and the last point.

    Raises:
        UsageError: not even the fewest steps fit.
    """
    trial = replace(frame, training=replace(frame.training, steps=_TRIAL_STEPS))
    sweep = make(trial)
    step_s, rest_s = 0.0, 0.0
    for point in {point.name: point for point in (sweep.points[0], sweep.points[-1])}.values():
        result = compute_point(sweep, point, photos, seed=0)
        step_s = max(step_s, result.training_s / _TRIAL_STEPS)
        rest_s = max(rest_s, result.seconds - result.training_s)
    rounds = -(-len(sweep.points) * seeds // processes)
    left_s = _SPARE * budget_s - rounds * rest_s
    steps = int(left_s / (rounds * step_s))
    if steps < FEWEST_STEPS:
        needed_s = rounds * (rest_s + FEWEST_STEPS * step_s) / _SPARE
        raise UsageError(
            f"{sweep.name} has {len(sweep.points)} points and {seeds} seeds; with {FEWEST_STEPS} steps each they need "
            f"about {needed_s / 60:.1f} minutes here, more than the budget. Give a longer --budget, fewer --seeds or "
            "more --processes."
        )
    return replace(frame, training=replace(frame.training, steps=min(steps, MOST_STEPS)))


def _file(out: Path, point: Point, seed: int) -> Path:
    plain = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in point.name)
    return out / "points" / f"{plain}-seed{seed}.json"


def _line(result: PointResult) -> str:
    nats = sum(result.information) / len(result.information)
    scores = "  ".join(f"{name} {score.top1:.1f} %" for name, score in result.scores.items())
    return f"{result.point}, seed {result.seed}: I_NCE {nats:.2f} nats  {scores}  {result.seconds:.0f} s"
