"""The file that runs in the browser: int8 where the index's neighbours stay, else float32, and why."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ...hub.deep_pixels import Values
from ...hub.errors import ArtifactError
from ...hub.onnx_encoder import IMAGE_FILE, OnnxEncoder, Variant, file_name, is_exported
from ...hub.pretrained import from_pretrained
from ...hub.sources.files import Files
from ...hub.sources.open import open_data
from ...hub.sources.packed_names import Names
from ...hub.sources.source import Data
from ..index.image_index import ImageIndex
from ..onnx.onnx_file import Wanted
from ..onnx.onnx_file import export as export_onnx
from ..onnx.samples import FEWEST
from ..onnx.write import ExportFailed
from .collection import Collection

VARIANTS: tuple[Variant, ...] = ("int8", "fp32")  # the smallest first


@dataclass(frozen=True)
class Candidates:
    """Exported files that take photos, the smallest first.

    reference: the encoder that the index was built with, on ONNX Runtime.
    remark: why there is no int8 file; empty where there is one.
    """

    files: list[OnnxEncoder]
    reference: OnnxEncoder
    remark: str


@contextmanager
def candidates(encoder: str, collection: Collection, calibrate: str | None) -> Iterator[Candidates]:
    """Exported files of an encoder, for as long as the block runs.

    Args:
        encoder: an exported folder, taken as it is; of any other an export is made and judged.
        calibrate: photos to calibrate int8 on; None takes those of the index that are still there.

    Raises:
        ArtifactError: the folder has no file that takes photos.
        ExportFailed: not even float32 agrees with PyTorch.
        IndexMismatch: the index was built with another encoder.
    """
    if is_exported(encoder):
        remark = f"{encoder} has no int8 file; export it again with --int8 --calibrate PHOTOS"
        yield _opened(Path(encoder), collection.index, remark)
        return
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "onnx"
        remark = _export(encoder, collection, calibrate, folder)
        yield _opened(folder, collection.index, remark)


def _export(encoder: str, collection: Collection, calibrate: str | None, folder: Path) -> str:
    opened = from_pretrained(encoder)
    opened.declare_values(_values_of(collection.index))
    collection.index.refuse_other(opened.id)
    data = open_data(calibrate) if calibrate is not None else _photos_of(collection)
    if data is None:
        export_onnx(opened, folder)
        return (
            f"fewer than {2 * FEWEST} photos of the index are where they were, too few for int8; give others with "
            "--calibrate PHOTOS"
        )
    try:
        export_onnx(opened, folder, wanted=Wanted(calibration=data))
    except ExportFailed as refused:
        export_onnx(opened, folder)  # float32 may be at fault; then this says so
        return f"int8 was refused: {refused}"
    return ""


def _photos_of(collection: Collection) -> Data | None:
    paths = collection.photos()
    if len(paths) < 2 * FEWEST:
        return None
    names, values = Names.of(str(path) for path in paths), _values_of(collection.index)
    return Data(Files(collection.index.folder.name, Path("/"), names, None, (), values))


def _opened(place: Path, index: ImageIndex, remark: str) -> Candidates:
    folder = place if place.is_dir() else place.parent
    files = [
        OnnxEncoder(folder / file_name(IMAGE_FILE, variant))
        for variant in VARIANTS
        if (folder / file_name(IMAGE_FILE, variant)).is_file()
    ]
    if not files:
        raise ArtifactError(f"{folder} has no {IMAGE_FILE}, the file that takes photos; export the encoder again.")
    for file in files:
        file.declare_values(_values_of(index))
    reference = next((file for file in files if not index.about.encoder.differences(file.id)), files[-1])
    index.refuse_other(reference.id)
    return Candidates(files, reference, "" if files[0].variant == "int8" else remark)


def _values_of(index: ImageIndex) -> Values | None:
    preprocessing = index.about.encoder.preprocessing
    return None if preprocessing is None else preprocessing.values
