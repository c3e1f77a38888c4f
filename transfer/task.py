"""A task: what is fine-tuned, what is measured, and by which protocol.

A task is a function returning a `Task`; `registry.TASKS` lists them all. What families of tasks share is here; what
differs lies in `Task.measure`, a frozen dataclass of settings that can be called:

    @dataclass(frozen=True)
    class ClassRetrieval:                  # the settings: together they fix the number
        at: tuple[int, ...] = (1, 10)

        def __call__(self, encoder, data, folder, setup) -> Measurement:
            from .features import ...      # heavy imports wait until the task runs

    @name_after_function
    def retrieval() -> Task:
        return Task(metric="mean average precision over queries, %", ..., measure=ClassRetrieval())

Importing a module that defines tasks therefore imports no torch, and `goodviews tasks` answers at once.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from cyclopts import Parameter

from ..hub.errors import UsageError
from ..hub.files.atomic import new_folder
from ..hub.identity import EncoderId
from ..hub.overrides import with_changes
from ..hub.reports.report import Evidence, Protocol, Report, gather_evidence, save_report
from .data_check import DataCheck
from .processes.environment import processes_of_run

SAVE_EVERY_S = 300.0

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..hub.deep_pixels import Values
    from ..hub.encoder import Encoder
    from ..hub.photo_encoder import PhotoEncoder


@dataclass(frozen=True)
class Setup:
    """The options of a run, from the command line to the measurement. It runs on the encoder's device.

    Only `seed` can move the number, `batch_size` where the task trains a network and `precision` where it is bf16 (then
    they go into `Measurement.run_settings`), and `engine` and `processes` where a detector is trained (the report names
    both).

    Args:
        seed: Of everything random in the task.
        batch_size: Images in a batch; by default the task's own. Where the task trains, its learning rates follow in
            proportion, and counts of iterations inversely.
        workers: Processes that load images, 0 for none beside the command's own.
        cache: Folder for frozen features, which knn and linear then compute once, and for the state of a long
            fine-tuning: a run that was stopped continues from there, and one that ended is only scored again.
        save_every_s: Seconds between two saves of that state, at least; 0 saves as often as metrics.jsonl gets a row.
        resume: Go on with a training that was stopped, from its state in --cache or, without one, in OUT.state.
            --resume auto starts it where there is no state yet, and does nothing where OUT holds its report: one line
            for a job that may be stopped at any time.
        engine: What trains detectors; auto is detectron2, as published, where it is installed and there is a GPU, and
            torchvision elsewhere. The report names it, and comparisons keep them apart.
        processes: Processes that fine-tune a network or train a detector together, or encode the photos of a published
            linear probe (linear-moco, linear-clsa, ...), each on a GPU of its own, or all on the CPU where there is no
            GPU. By default as many as torchrun started, else one.
        precision: What the network of a published probe or of fine-tuning computes in: fp32 as published, bf16, which
            is faster where the hardware multiplies it and moves the number a little (the report keeps them apart), or
            auto, which is bf16 there and fp32 elsewhere.
        evaluate_every: Iterations between scores of a detector in training, which go into metrics.jsonl; 0: never.
        tensorboard: Write each row of metrics.jsonl for TensorBoard too, where the task trains in steps or epochs. They
            are in OUT/tensorboard at the end; tensorboard --logdir on the folder that will hold OUT shows them before.
        progress: Show a bar.

    Raises:
        UsageError: a number is too small.
    """

    seed: int = 0
    batch_size: int | None = None
    workers: int = 0
    cache: Path | None = None
    save_every_s: float = SAVE_EVERY_S
    resume: bool | Literal["auto"] = False
    engine: Literal["auto", "detectron2", "torchvision"] = "auto"
    processes: int | None = None
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    evaluate_every: int = 0
    tensorboard: bool = False
    progress: Annotated[bool, Parameter(parse=False)] = False  # no option: the command always shows it

    def __post_init__(self) -> None:
        least = {"batch_size": 1, "workers": 0, "save_every_s": 0, "processes": 1, "evaluate_every": 0}
        for name, smallest in least.items():
            number = getattr(self, name)
            if number is not None and number < smallest:
                option = f"--{name.replace('_', '-')}"
                raise UsageError(f"{option} is {number:g}; it must be {smallest} or more.")

    @property
    def process_count(self) -> int:
        """How many processes compute."""
        return self.processes or 1


@dataclass(frozen=True)
class Measurement:
    """The result of a task.

    `metrics` are in percent unless the name says otherwise. `NAME_low` and `NAME_high` are the ends of the 95 %
    interval of `NAME`, by the method that the task's description names; `compare` draws them.
    """

    metrics: dict[str, float]
    dataset: dict[str, Any]  # name, digest (see `data_digest`), counts of images and classes, images skipped
    engine: str  # the library that fine-tuned and scored, name before version: "torch 2.9", "torchvision 0.24"
    run_settings: dict[str, Any] = field(default_factory=dict)  # settings of this run alone; part of its protocol
    description: dict[str, Any] = field(default_factory=dict)  # sentences about this run, for Report.description
    details: dict[str, Any] = field(default_factory=dict)  # further results that are never compared, e.g. per class


class Measure(typing.Protocol):
    """A frozen dataclass of settings. Its call fine-tunes and scores `encoder`, and leaves its files in `folder`."""

    def __call__(self, encoder: Encoder, data: Path, folder: Path, setup: Setup) -> Measurement: ...


@dataclass(frozen=True, kw_only=True)
class Task:
    """A named protocol. Two reports may share a column only if their `protocol` is equal."""

    name: str = ""  # of the protocol with its budget, as in reports: "knn", "voc07+12-c4-24k"; see name_after_function
    fine_tuned: str  # in a few words: "nothing", "a linear layer", "the whole detector"
    metric: str  # the primary metric in words: "top-1 accuracy, %"
    primary: str  # its key in Report.metrics
    layout: str  # the data folder that it reads, in a line
    measure: Measure
    check: Callable[[Any, Path, Values | None], DataCheck]  # of the measure's data folder
    draw: Callable[[Any, Path, Values | None], Image] | None = None  # a page of its labelled photos
    data_variable: str | None = None  # environment variable that holds the data folder where none is given
    takes_exported: bool = False  # whether the vectors of an exported encoder are all it needs
    takes_processes: bool = False  # whether several processes can share the work: Setup.processes
    takes_precision: bool = False  # whether the network can compute in bf16: Setup.precision
    version: int = 1  # raised when the same name and settings come to measure something else
    description: Mapping[str, str] = field(default_factory=dict)  # further sentences on the protocol, by topic

    @property
    def protocol(self) -> Protocol:
        """What fixes the number, before a run adds to it."""
        settings = asdict(self.measure)  # type: ignore[call-overload]  # a Measure is a dataclass
        return Protocol(self.name, self.version, settings)

    def with_changes(self, changes: Sequence[str]) -> Task:
        """This task with other settings, e.g. ["epochs=3", "schedule.factor=0.1"]; its name lists them.

        Raises:
            UsageError: there is no such setting, or the value is not of its type.
        """
        if not changes:
            return self
        measure = with_changes(self.measure, changes, whole="task")
        listed = ", ".join(_without_folder(change) for change in changes)
        return replace(self, name=f"{self.name} [{listed}]", measure=measure)

    def run(
        self,
        encoder: PhotoEncoder,
        data: Path,
        out: Path,
        *,
        setup: Setup | None = None,
        overwrite: bool = False,
    ) -> Report:
        """Measures `encoder` on `data` and makes the folder `out` with report.json and the task's pictures and lists.

        Raises:
            OutputExists: `out` exists and `overwrite` is not set.
            DataError: `data` is not laid out as `layout` says. Nothing is written then.
            UsageError: `encoder` is an exported one and the task needs its weights, or the task runs in one process.
        """
        if encoder.is_exported and not self.takes_exported:
            raise UsageError(
                f"{self.name} runs the network itself, which the exported encoder {encoder.name} does not allow; "
                "give the encoder folder it was exported from."
            )
        setup = setup or Setup()
        setup = replace(setup, processes=processes_of_run(setup.processes))
        if setup.process_count > 1 and not self.takes_processes:
            raise UsageError(f"{self.name} runs in one process; leave out --processes, and start it without torchrun.")
        if setup.precision != "fp32":
            setup = replace(setup, precision=self._precision(setup, encoder))
        inputs = (data, encoder.source, setup.cache)
        with new_folder(out, overwrite, kind="result", inputs=inputs) as folder:
            with gather_evidence() as evidence:
                measurement = self.measure(cast(Any, encoder), data, folder, setup)
            if self.takes_precision:
                measurement = _with_precision(measurement, setup)
            report = self.report(measurement, encoder.report_id(), setup.seed, evidence)
            save_report(report, folder / "report.json")
        return report

    def _precision(self, setup: Setup, encoder: PhotoEncoder) -> Literal["fp32", "bf16"]:
        """Raises UsageError where there is no choice."""
        from .precision import resolve_precision

        if not self.takes_precision:
            raise UsageError(f"{self.name} computes in fp32; leave out --precision.")
        return resolve_precision(setup.precision, encoder.device)

    def draw_labels(self, data: Path, out: Path, *, values: Values | None = None, overwrite: bool = False) -> Path:
        """Draws a few photos of `data` with their labels into a picture.

        Args:
            values: of photos of more than 8 bits, which are black and white; see `hub.deep_pixels`.

        Raises:
            UsageError: the task's labels are not drawn, or `out` ends neither in .png nor in .jpg.
            DataError: `data` is not laid out as `layout` says, or has no photo.
        """
        from ..hub.output.pictures import write_picture

        if self.draw is None:
            raise UsageError(f"The labels of {self.name} cannot be drawn; leave out --draw.")
        return write_picture(self.draw(self.measure, data, values), out, overwrite=overwrite, inputs=(data,))

    def report(self, measurement: Measurement, encoder: EncoderId, seed: int, evidence: Evidence) -> Report:
        """A measurement as a report of this task."""
        own = {"fine_tuned": self.fine_tuned, "metric": self.metric, **self.description}
        return Report(
            protocol=replace(self.protocol, settings={**self.protocol.settings, **measurement.run_settings}),
            encoder=encoder,
            dataset=measurement.dataset,
            metrics=measurement.metrics,
            primary=self.primary,
            description={**own, **measurement.description},
            engine=measurement.engine,
            seed=seed,
            evidence=evidence,
            details=measurement.details,
        )


def _with_precision(measurement: Measurement, setup: Setup) -> Measurement:
    """bf16 is part of the protocol, so that comparisons keep it apart; fp32 is what the task's own settings mean."""
    changed = {} if setup.precision == "fp32" else {"precision": setup.precision}
    return replace(
        measurement,
        run_settings={**measurement.run_settings, **changed},
        details={**measurement.details, "precision": setup.precision},
    )


def name_after_function(make: Callable[[], Task]) -> Callable[[], Task]:
    """Names the task that a function makes, `few_shot_5way_1shot` -> "few-shot-5way-1shot", unless it has a name."""

    @wraps(make)
    def make_with_name() -> Task:
        task = make()
        return task if task.name else replace(task, name=command_name(make))

    return make_with_name


def command_name(make: Callable[[], Task]) -> str:
    """What the command line calls the task of a function."""
    return make.__name__.replace("_", "-")


def require_above_zero(settings: Any, *names: str) -> None:
    """Checks settings that --set can change. A list must hold a number, and each must be above 0.

    Raises:
        UsageError: a number is 0 or less, or a list is empty.
    """
    for name in names:
        value = getattr(settings, name)
        numbers = value if isinstance(value, tuple) else (value,)
        if not numbers or min(numbers) <= 0:
            shown = list(value) if isinstance(value, tuple) else value
            raise UsageError(f"{name} is {shown}; it must be {'numbers' if numbers is value else 'a number'} above 0.")


def _without_folder(change: str) -> str:
    """A change whose value is a path, without the folders: reports get published."""
    name, _, value = change.partition("=")
    return f"{name}={Path(value).name}" if value.startswith(("/", "~", ".")) else change
