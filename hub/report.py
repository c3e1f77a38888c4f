"""A report: one measured result, the protocol that fixes it, and the evidence behind it. Tables come from its JSON.

What decides whether two numbers may share a column is a name, a version and settings (`Protocol`). Sentences for
readers stand beside it, in `Report.description`: rewording one separates no report from an older one.
"""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import old_reports
from .atomic import write_json
from .errors import DataError
from .identity import EncoderId
from .provenance import command, commit, hardware, libraries, version

FORMAT = 2


@dataclass
class Evidence:
    """How a number came about; `seconds` is wall time and filled in when the measurement ends."""

    command: str = field(default_factory=command)
    version: str = field(default_factory=version)
    commit: str | None = field(default_factory=commit)
    hardware: str = field(default_factory=hardware)
    libraries: dict[str, str] = field(default_factory=libraries)
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: float = 0.0


@dataclass(frozen=True)
class Protocol:
    """How a number was measured.

    Attributes:
        name: the task with its budget and what was changed, e.g. "knn", "voc07+12-c4-24k", "knn [k=5]".
        version: raised when the same name and settings come to measure something else.
        settings: everything that a run could set otherwise (schedule, sizes, batch, ...): numbers, switches and choices
            from a closed list. No sentence belongs here.
    """

    name: str
    version: int
    settings: dict[str, Any]


@dataclass(frozen=True)
class Report:
    """One result.

    Attributes:
        protocol: how it was measured.
        encoder: what was measured, as its `report_id` says.
        dataset: name, digest and counts; equal for results that may be compared.
        metrics: numbers by name, in percent unless the name says otherwise.
        primary: the metric that tables sort by.
        description: the protocol for readers: sentences by topic ("metric", "interval", "features", ...).
        engine: the library that did the work, name before version: "torchvision 0.29".
        seed: of this run.
        evidence: command, commit, hardware, libraries, date.
        higher_is_better: of the primary metric.
        details: further results, e.g. per class; never compared.
    """

    protocol: Protocol
    encoder: EncoderId
    dataset: dict[str, Any]
    metrics: dict[str, float]
    primary: str
    description: dict[str, Any]
    engine: str
    seed: int
    evidence: Evidence
    higher_is_better: bool = True
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def task(self) -> str:
        """The protocol's name."""
        return self.protocol.name

    @property
    def column(self) -> str:
        """Equal for two reports if their numbers may share a column.

        The data's name does not count where their digest is known, nor does the engine's version.
        """
        data = {name: value for name, value in self.dataset.items() if name != "name" or "digest" not in self.dataset}
        protocol = [self.protocol.name, self.protocol.version, self.protocol.settings]
        library = self.engine.partition(" ")[0]
        return json.dumps([protocol, data, library, self.primary, self.higher_is_better], sort_keys=True)


@contextmanager
def gather_evidence() -> Iterator[Evidence]:
    """Time a measurement: `with gather_evidence() as evidence: ...`, then put `evidence` into the Report."""
    evidence = Evidence()
    begin = time.monotonic()
    try:
        yield evidence
    finally:
        evidence.seconds = round(time.monotonic() - begin, 1)


def save_report(report: Report, path: Path) -> Path:
    """Write a report as JSON, whole or not at all."""
    return write_json(path, {"format": FORMAT, **asdict(report), "encoder": report.encoder.report_json()})


def find_reports(place: Path) -> list[Path]:
    """The report files of a RUN folder or an encoder folder; a file stands for itself.

    Raises:
        DataError: the folder holds none.
    """
    if not place.is_dir():
        return [place]  # load_report says what is wrong with it
    if (place / "report.json").is_file():
        return [place / "report.json"]
    files = sorted((place / "reports").glob("*.json"))
    if not files:
        raise DataError(
            f"{place} holds no report: neither report.json nor reports/*.json. "
            "Give a RUN folder of `goodviews transfer`."
        )
    return files


def load_report(path: Path | str) -> Report:
    """Read a report, of an older format too.

    Raises:
        DataError: the file is missing, is not a report of ours, or lacks what tables need.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise DataError(
            f"{path} does not exist; give a RUN folder of `goodviews transfer` or its report.json."
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError, IsADirectoryError):
        raise DataError(f"{path} is not a report: it is not JSON.") from None
    form = content.pop("format", None) if isinstance(content, dict) else None
    if form not in (old_reports.FORMAT, FORMAT):
        raise DataError(f"{path} is not a report of this goodviews (format {FORMAT} expected); measure again.")
    try:
        report = _as_report(content if form == FORMAT else old_reports.as_today(content))
    except (TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path} is not a complete report ({error}); measure again.") from None
    problem = _find_problem(report)
    if problem:
        raise DataError(f"{path} is not a complete report: {problem}; measure again.")
    return report


def _as_report(content: dict[str, Any]) -> Report:
    parts = {"protocol": Protocol, "encoder": EncoderId, "evidence": Evidence}
    return Report(**{name: parts[name](**value) if name in parts else value for name, value in content.items()})


def _find_problem(report: Report) -> str | None:
    parts = (report.metrics, report.dataset, report.protocol.settings, report.description)
    if not all(isinstance(part, dict) for part in parts):
        return "metrics, dataset, settings and description must be objects"
    numbers = report.metrics.values()
    if report.primary not in report.metrics or not all(
        isinstance(number, int | float) and math.isfinite(number) for number in numbers
    ):
        return f"metrics must be numbers and hold {report.primary}"
    return None
