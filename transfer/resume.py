"""Going on with a measurement that was stopped: where its state lies, and whether it is done already."""

from dataclasses import replace
from pathlib import Path

from ..hub.errors import UsageError
from ..hub.files.overwrite import kind_of
from ..hub.photo_encoder import PhotoEncoder
from ..hub.reports.report import Report, load_report
from .task import Setup, Task


def with_state_folder(setup: Setup, out: Path, *, overwrite: bool) -> Setup:
    """With a folder for the state of a training, where it is to be resumed: --cache or OUT.state.

    Raises:
        UsageError: it is to be overwritten too.
    """
    if not setup.resume:
        return setup
    if overwrite:
        raise UsageError("--resume goes on with a measurement and --overwrite starts it anew; give one of them.")
    return replace(setup, cache=setup.cache or out.with_name(f"{out.name}.state"))


def finished_report(out: Path, task: Task, encoder: PhotoEncoder, setup: Setup) -> Report | None:
    """The report in OUT, where it is of the same task, weights and seed and --resume auto asks no more than that."""
    from .precision import resolve_precision

    if setup.resume != "auto" or kind_of(out) != "result":
        return None
    report = load_report(out / "report.json")
    found = (report.task, report.encoder.weights_sha256, report.seed, report.details.get("precision", "fp32"))
    precision = "fp32" if setup.precision == "fp32" else resolve_precision(setup.precision, encoder.device)
    wanted = (task.name, encoder.report_id().weights_sha256, setup.seed, precision)
    return report if found == wanted else None
