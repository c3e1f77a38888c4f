"""A static folder that searches an index in the visitor's browser: page, encoder, vectors, thumbnails, runtime."""

import json
import shutil
from dataclasses import dataclass
from importlib.resources import as_file, files
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from ...hub.files.atomic import new_folder, write_bytes, write_text
from ...hub.files.overwrite import refuse_folder
from ...hub.onnx_encoder import OnnxEncoder
from ...hub.preprocessing import LONGEST_STRIP
from ...hub.reports.provenance import version
from .collection import Collection, read_collection
from .compact import Compact, loss_of, overlap
from .model_file import Candidates, candidates
from .readme import Facts, about_lines, readme
from .runtime_files import copy_runtime, find_runtime

FORMAT = 1
JUDGES = 100  # thumbnails that are searched by, to compare what the browser finds with what the index finds
LEAST_OVERLAP = 0.9
VECTORS_FILE, RUNTIME = "vectors.bin", "onnxruntime"


@dataclass(frozen=True)
class Page:
    """What was written, and what is known of it."""

    folder: Path
    facts: Facts


def export_page(
    encoder: str,
    index: Path,
    out: Path,
    *,
    calibrate: str | None = None,
    onnxruntime_web: Path | None = None,
    overwrite: bool = False,
) -> Page:
    """Write the folder; any file server can offer it, and the photos that visitors search by stay with them.

    Args:
        encoder: the index's own, as a folder, a name or an export.
        index: whose vectors and thumbnails go into the page; the photos themselves do not.
        calibrate: photos for int8; None takes the index's.
        onnxruntime_web: the npm package's folder, or one with node_modules; None looks for it.

    Raises:
        OutputExists: `out` exists and `overwrite` is off.
        UsageError: onnxruntime-web is missing, or of another version.
        IndexMismatch: the index was built with another encoder.
    """
    inputs = (encoder, index, calibrate, onnxruntime_web)
    refuse_folder(out, overwrite, kind="web page", inputs=inputs)
    runtime = find_runtime(onnxruntime_web)
    collection = read_collection(index)
    compact = Compact.of(collection.vectors)
    with (
        candidates(encoder, collection, calibrate) as found,
        new_folder(out, overwrite, kind="web page", inputs=inputs) as partial,
    ):
        model, agreement, remark = _choose(found, collection, compact)
        shutil.copyfile(model.path, partial / model.path.name)
        write_bytes(partial / VECTORS_FILE, compact.to_bytes())
        copy_runtime(runtime, partial / RUNTIME)
        thumbnails = _write_thumbnails(collection, partial / "thumbs")
        _copy_page(partial)
        facts = Facts.of(partial, model, collection, loss_of(compact, collection.vectors), agreement, remark)
        _describe(partial, facts, collection, thumbnails)
    return Page(Path(out), facts)


def _choose(found: Candidates, collection: Collection, compact: Compact) -> tuple[OnnxEncoder, float | None, str]:
    """The smallest file that finds what the index finds, the share it finds, and why it is not int8."""
    positions, photos = _sample(collection)
    if not photos:
        return found.files[0], None, found.remark
    expected = found.reference.encode(photos)
    remark = found.remark
    for file in found.files:
        ours = file.encode(photos)
        share = overlap(expected, collection.vectors, ours, compact, left_out=positions)
        if share is None or share >= LEAST_OVERLAP or file is found.files[-1]:
            break
        remark = (
            f"{file.variant} finds {share:.1%} of the index's 10 nearest neighbours, where {LEAST_OVERLAP:.0%} are "
            "wanted"
        )
    return file, share, remark


def _sample(collection: Collection) -> tuple[np.ndarray, list[Image.Image]]:
    """Positions of some photos spread over the collection, and their thumbnails."""
    spread = np.unique(np.linspace(0, len(collection) - 1, JUDGES).astype(int)).tolist()
    found = [(position, content) for position in spread if (content := collection.thumbnail(position)) is not None]
    photos = [Image.open(BytesIO(content)).convert("RGB") for _, content in found]
    return np.array([position for position, _ in found], int), photos


def _write_thumbnails(collection: Collection, folder: Path) -> list[bool]:
    """One JPEG a photo, named by its id; whether there is one, for each."""
    folder.mkdir()
    has_one = []
    for position, number in enumerate(collection.ids):
        content = collection.thumbnail(position)
        if content is not None:
            (folder / f"{number}.jpg").write_bytes(content)
        has_one.append(content is not None)
    return has_one


def _copy_page(folder: Path) -> None:
    with as_file(files(__package__) / "page") as page:
        for file in sorted(page.iterdir()):
            shutil.copyfile(file, folder / file.name)


def _describe(folder: Path, facts: Facts, collection: Collection, thumbnails: list[bool]) -> None:
    """site.json for the page and README.md for whoever publishes it."""
    listed = zip(collection.ids, collection.names, collection.labels, thumbnails)
    content = {
        "format": FORMAT,
        "goodviews": version(),
        "about": about_lines(facts),
        "model": _file(folder, facts.model_file),
        "runtime": _file(folder, f"{RUNTIME}/ort.wasm"),
        "vectors": _file(folder, VECTORS_FILE) | {"count": len(collection), "dimension": facts.dimension},
        "longest_strip": LONGEST_STRIP,
        "photos": [
            {"id": number, "name": name, "label": label, "has_thumbnail": has_one}
            for number, name, label, has_one in listed
        ],
    }
    write_text(folder / "site.json", json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")
    write_text(folder / "README.md", readme(facts))


def _file(folder: Path, name: str) -> dict[str, str | int]:
    return {"file": name, "bytes": (folder / name).stat().st_size}
