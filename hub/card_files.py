"""The files of an encoder folder that are made from its others: card, picture of the training, .eval_results."""

from pathlib import Path
from typing import Any

import yaml

from .encoder_folder import read_config
from .files.atomic import write_bytes
from .reports.card import Beside, Published, card
from .reports.curves import PICTURE, draw_curves, read_curves
from .reports.onnx_figures import read_onnx_figures
from .reports.report import Report, load_report
from .reports.results import eval_results

CARD = "README.md"
EVAL_RESULTS = ".eval_results"


def write_card(folder: Path | str) -> Path:
    """Make the card of an encoder folder again from its config.json, reports, curves and ONNX figures.

    Returns:
        FOLDER/README.md.

    Raises:
        ArtifactError: the folder holds no encoder, or a file of it is damaged.
        DataError: a .json file in FOLDER/reports is no report.
    """
    folder = Path(folder)
    made = made_files(folder, read_config(folder))
    for old in (folder / EVAL_RESULTS).glob("*.yaml"):
        if f"{EVAL_RESULTS}/{old.name}" not in made:
            old.unlink()
    for name, content in made.items():
        write_bytes(folder / name, content)
    return folder / CARD


def made_files(folder: Path, config: dict[str, Any], *, published: Published | None = None) -> dict[str, bytes]:
    """The content of all such files by their names in the folder.

    Args:
        config: of the folder, possibly changed.
        published: where they will stand.
    """
    lines = read_curves(folder)
    picture = draw_curves(lines) if lines else None
    beside = Beside(attached_reports(folder), picture is not None, read_onnx_figures(folder))
    made = {CARD: card(config, beside, published=published).encode()}
    if picture is not None:
        made[PICTURE] = picture
    address = published.address if published else None
    for name, entries in eval_results(beside.reports, address=address).items():
        made[f"{EVAL_RESULTS}/{name}"] = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True).encode()
    return made


def attached_reports(folder: Path) -> dict[str, Report]:
    """The reports of an encoder folder by file name, sorted.

    Raises:
        DataError: a .json file there is not a report.
    """
    return {file.name: load_report(file) for file in sorted((folder / "reports").glob("*.json"))}
