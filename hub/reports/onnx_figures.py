"""What was measured of an encoder's ONNX files: ENCODER/onnx/figures.json, which the card shows as a table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..files.atomic import write_json
from ..files.json_files import Place, read_json

FILE = "onnx/figures.json"


@dataclass(frozen=True)
class OnnxFigures:
    """One file.

    Attributes:
        file: its name in ENCODER/onnx.
        measured: numbers by what they are, with their unit: {"cosine to PyTorch": 0.9982, "size, MB": 24.1}.
        how: on what they were measured: photos, hardware, commit; a sentence.
    """

    file: str
    measured: dict[str, float]
    how: str


def record_onnx_figures(folder: Path, figures: Sequence[OnnxFigures]) -> Path:
    """Note figures in an encoder folder, in place of earlier ones of the same files; `write_card` then shows them."""
    known = {one.file: one for one in (*read_onnx_figures(folder), *figures)}
    return write_json(folder / FILE, {"files": [asdict(known[name]) for name in sorted(known)]})


def read_onnx_figures(folder: Path) -> list[OnnxFigures]:
    """The figures of an encoder folder, by file name; none where nothing was measured.

    Raises:
        ArtifactError: the file is damaged.
    """
    if not (folder / FILE).is_file():
        return []
    from ..schemas.onnx_figures import FiguresFile
    from ..schemas.record import check

    place = Place(folder / FILE, "delete it, or export again")
    return [OnnxFigures(one.file, one.measured, one.how) for one in check(FiguresFile, read_json(place), place).files]
