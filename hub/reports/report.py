"""A report: one measured result, the protocol that fixes it, and the evidence behind it. Tables come from its JSON.

What decides whether two numbers may share a column is a name, a version and settings (`Protocol`). Sentences for
readers stand beside it, in `Report.description`: rewording one separates no report from an older one.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files.atomic import write_json
from ..files.json_files import Place, read_json
from ..identity import EncoderId
from . import old_reports
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
    """Read a report, of an older format too: the file, or the RUN folder that holds it.

    Raises:
        DataError: the file is missing, is not a report of ours, or lacks what tables need.
    """
    from ..schemas.record import check
    from ..schemas.report import EncoderPart, EvidencePart, ProtocolPart, ReportFile

    path = Path(path) / "report.json" if Path(path).is_dir() else Path(path)
    place = Place(path, "measure again, or give another report.json of `goodviews transfer`", DataError)
    try:
        content = read_json(place)
    except FileNotFoundError:
        raise DataError(
            f"{path} does not exist; give a RUN folder of `goodviews transfer` or its report.json."
        ) from None
    found = content.pop("format", None)
    if found not in (old_reports.FORMAT, FORMAT):
        raise place.refuse("format", found, f"{FORMAT} in a report of this goodviews")
    if found == old_reports.FORMAT:
        content = _as_today(content, place)
    checked = check(ReportFile, content, place)
    if checked.primary not in checked.metrics:
        raise place.refuse("primary", checked.primary, "the name of one of the metrics")
    known = {name: content[name] for name in ReportFile.model_fields if name in content}
    for name, kind, part in (
        ("protocol", Protocol, ProtocolPart),
        ("encoder", EncoderId, EncoderPart),
        ("evidence", Evidence, EvidencePart),
    ):
        known[name] = kind(**{key: value for key, value in content[name].items() if key in part.model_fields})
    return Report(**known)


def _as_today(content: dict[str, Any], place: Place) -> dict[str, Any]:
    from ..schemas.record import check
    from ..schemas.report import OldReport

    check(OldReport, content, place)
    try:
        return old_reports.as_today(content)
    except (TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{place.path} is no complete report in its protocol ({error}); {place.remedy}.") from None
