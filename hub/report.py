"""A report: one measured result, the protocol that fixes it, and the evidence behind it. Tables come from its JSON."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .atomic import write_json
from .errors import DataError
from .provenance import command, commit, hardware, libraries, version

FORMAT = 1


@dataclass(frozen=True)
class EncoderId:
    """Which encoder was measured: `name` is for people, `weights_sha256` (of model.safetensors) for certainty."""

    name: str
    architecture: str
    weights_sha256: str
    recipe: str | None = None


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
class Report:
    """One result.

    Attributes:
        task: the protocol's name, e.g. "knn"; results of different tasks are never put in one column.
        encoder: what was measured.
        dataset: name and counts; equal for results that may be compared.
        metrics: numbers by name, in percent unless the name says otherwise.
        primary: the metric that tables sort by.
        protocol: everything that fixes the number (split, schedule, sizes, batch, ...).
        engine: the library that did the work, e.g. "torchvision 0.29".
        seed: of this run.
        evidence: command, commit, hardware, libraries, date.
        details: further results, e.g. per class; never compared.
    """

    task: str
    encoder: EncoderId
    dataset: dict[str, Any]
    metrics: dict[str, float]
    primary: str
    protocol: dict[str, Any]
    engine: str
    seed: int
    evidence: Evidence
    higher_is_better: bool = True
    details: dict[str, Any] = field(default_factory=dict)


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
    return write_json(path, {"format": FORMAT, **asdict(report)})


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
    """Read a report.

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
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise DataError(f"{path} is not a report of this goodviews (format {FORMAT} expected); measure again.")
    try:
        identity, evidence = EncoderId(**content.pop("encoder")), Evidence(**content.pop("evidence"))
        report = Report(**content, encoder=identity, evidence=evidence)
    except (TypeError, KeyError) as error:
        raise DataError(f"{path} is not a complete report ({error}); measure again.") from None
    lack = _what_lacks(report)
    if lack:
        raise DataError(f"{path} is not a complete report: {lack}; measure again.")
    return report


def _what_lacks(report: Report) -> str | None:
    if not all(isinstance(part, dict) for part in (report.metrics, report.dataset, report.protocol)):
        return "metrics, dataset and protocol must be objects"
    numbers = report.metrics.values()
    if report.primary not in report.metrics or not all(
        isinstance(number, int | float) and math.isfinite(number) for number in numbers
    ):
        return f"metrics must be numbers and hold {report.primary}"
    return None
