"""Attaching reports to the encoder that they measured: FOLDER/reports/*.json, and the card made from them."""

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from .artifact import WEIGHTS, read_config
from .card_files import attached_reports, write_card
from .encoder_folder import LONGEST_WAIT_S
from .errors import ArtifactError, DataError, OutputExists
from .files.atomic import new_folder
from .files.locks import sole_writer
from .files.overwrite import mark
from .identity import sha256
from .reports.report import Report, save_report


def attach_reports(folder: Path | str, reports: Sequence[Report], *, overwrite: bool = False) -> list[Path]:
    """Add reports to an encoder folder and write its card again; all of them or, if one is refused, none.

    Args:
        folder: an encoder folder.
        reports: measured with exactly the weights in it. One that is attached already changes nothing.
        overwrite: replace an attached result of the same measurement (task, protocol, data, engine, seed).

    Returns:
        The files in FOLDER/reports, one for each report.

    Raises:
        ArtifactError: the folder holds no encoder, or a report is of other weights.
        OutputExists: another result of the same measurement is attached and `overwrite` is off.
        Busy: another process is still attaching reports after a minute.
    """
    folder = Path(folder)
    read_config(folder)
    with sole_writer(folder, wait_s=LONGEST_WAIT_S):  # a report that another process attaches now is read here
        return _attach(folder, reports, overwrite=overwrite)


def _attach(folder: Path, reports: Sequence[Report], *, overwrite: bool) -> list[Path]:
    config = read_config(folder)
    _refuse_others(folder, config["goodviews"]["weights_sha256"], reports)
    attached = attached_reports(folder)
    names = []
    for report in reports:
        name = _file_name(report, attached)
        if name in attached and not overwrite and _as_read(attached[name]) != _as_read(report):
            raise OutputExists(
                folder / "reports" / name, "It is another result of the same measurement; --overwrite to replace it."
            )
        attached[name] = report
        names.append(name)
    if (folder / "reports").is_dir():
        mark(folder / "reports", "reports")  # an older one has no marker; all that is in it was read as reports
    with new_folder(folder / "reports", overwrite=True, kind="reports") as partial:
        if (folder / "reports").is_dir():
            shutil.copytree(folder / "reports", partial, dirs_exist_ok=True)
        for name in names:
            save_report(attached[name], partial / name)
    write_card(folder)
    return [folder / "reports" / name for name in names]


def reports_of(folder: Path | str, reports: Sequence[Report]) -> list[Report]:
    """Those of the reports that were measured with the weights in an encoder folder.

    Raises:
        ArtifactError: the folder holds no encoder.
        DataError: there is none.
    """
    weights = read_config(Path(folder))["goodviews"]["weights_sha256"]
    matching = [report for report in reports if report.encoder.weights_sha256 == weights]
    if not matching:
        names = ", ".join(sorted({report.encoder.name for report in reports}))
        raise DataError(f"No report is of the weights in {folder}; they are of {names}.")
    return matching


def _refuse_others(folder: Path, recorded: str, reports: Sequence[Report]) -> None:
    if not reports:
        raise DataError("There is no report to attach; give the RUN folders that `goodviews transfer` wrote.")
    if not (folder / WEIGHTS).is_file() or sha256(folder / WEIGHTS) != recorded:
        raise ArtifactError(
            f"{folder / WEIGHTS} is not the file that config.json describes; `goodviews hub check {folder}` says more."
        )
    for report in reports:
        found = report.encoder
        if found.weights_sha256 != recorded:
            raise ArtifactError(
                f"The report of {report.task} on {report.dataset.get('name')} is of other weights ({found.name}, "
                f"sha256 {found.weights_sha256[:12]}; {folder} has {recorded[:12]}). "
                "Attach it to the encoder it was made with."
            )


def _as_read(report: Report) -> object:
    """A report as it would be read from its file: tuples become lists."""
    return json.loads(json.dumps(asdict(report)))


def _measurement(report: Report) -> tuple[str, int]:
    """Equal for two results of the same measurement."""
    return report.column, report.seed


def _file_name(report: Report, attached: dict[str, Report]) -> str:
    """The name of a known result of the same measurement, or one that no other measurement has."""
    for name, other in attached.items():
        if _measurement(other) == _measurement(report):
            return name
    digest = hashlib.sha256(json.dumps(_measurement(report)).encode()).hexdigest()[:8]
    words = f"{report.task}-{report.dataset.get('name', 'data')}-seed{report.seed}-{digest}"
    return re.sub(r"[^A-Za-z0-9.+_-]+", "-", words) + ".json"
