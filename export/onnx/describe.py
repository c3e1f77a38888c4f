"""What an export folder says of itself: export.json for programs, README.md for people; nothing typed by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from ...hub.files.atomic import write_json, write_text
from ...hub.identity import EncoderId
from ...hub.onnx_encoder import FORMAT, PIXELS_FILE, Variant, file_name
from ...hub.output.printing import code_text, markdown_text
from ...hub.reports.provenance import version
from .bench import HEADINGS, MEMORY_HEADINGS, Measured, cells, memory_cells
from .judge import LIMITS, Difference

IMAGE_INPUT = "image: uint8 (batch, height, width, 3) RGB"
PIXELS_INPUT = "pixels: float32 (batch, 3, height, width), normalised with encoder.preprocessing"
OUTPUTS = {
    "feature_maps.onnx": "res2, res3, res4, res5: float32 (batch, channels, height, width)",
    "classifier.onnx": "classes: float32 (batch, classes), probabilities",
}
EMBEDDING = "embedding: float32 (batch, dimension), unit rows"


def describe(folder: Path, identity: EncoderId, licence: str | None, files: Mapping[str, Difference | None]) -> None:
    """Write export.json and README.md for the files of a folder."""
    content: dict[str, Any] = {
        "format": FORMAT,
        "goodviews": version(),
        "encoder": identity.to_json(),
        "licence": licence,
        "files": {name: _file(folder / name, difference) for name, difference in sorted(files.items())},
    }
    write_json(folder / "export.json", content)
    write_text(folder / "README.md", _readme(folder, identity, licence, files))


def _file(path: Path, difference: Difference | None) -> dict[str, Any]:
    takes_images = path.name.startswith(("model.", "model_fp16", "model_int8", "classifier"))
    about: dict[str, Any] = {
        "input": IMAGE_INPUT if takes_images else PIXELS_INPUT,
        "output": OUTPUTS.get(path.name, EMBEDDING),
        "bytes": path.stat().st_size,
    }
    if difference is not None:
        about["difference_from_pytorch"] = {
            name: value for name, value in vars(difference).items() if value is not None
        }
    return about


def _readme(folder: Path, identity: EncoderId, licence: str | None, files: Mapping[str, Difference | None]) -> str:
    p = identity.preprocessing
    assert p is not None, "an encoder has it"
    rows = [row(folder / name, difference) for name, difference in sorted(files.items()) if difference is not None]
    others = [f"- `{name}`: {OUTPUTS[name]}" for name, difference in sorted(files.items()) if difference is None]
    parts = [
        f"# {markdown_text(identity.name)} as ONNX",
        f"`{code_text(identity.architecture)}`, {identity.dimension} dimensions, weights sha256 "
        f"`{identity.weights_sha256[:12]}`, licence {markdown_text(licence or 'not stated')}. "
        f"Photos: shorter side to {p.input_px} px / {p.crop_pct}, centre crop of {p.input_px} px, {p.interpolation}.",
        "`model*.onnx` take uint8 photos of any height and width, `model_pixels*.onnx` prepared pixels.",
        _table(HEADER, rows),
        "Cosines are to PyTorch in float32. Neighbours, and the accuracy of their vote, are of photos that calibration "
        "did not see, each looked up among the others.",
        _criteria(files),
        *(["\n".join(others)] if others else []),
        '```python\nfrom goodviews.hub import OnnxEncoder\nvectors = OnnxEncoder("FOLDER").encode(["photo.jpg"])\n```',
    ]
    return "\n\n".join(parts) + "\n"


def _criteria(files: Mapping[str, Difference | None]) -> str:
    """What a file had to reach, in words."""
    found = []
    for variant in get_args(Variant):
        pixels, image = (LIMITS[variant, kind] for kind in ("pixels", "image"))
        if file_name(PIXELS_FILE, variant) not in files:
            continue
        which = "mean" if pixels.largest is None else "lowest"
        least = sorted({1 - pixels.mean, 1 - image.mean}, reverse=True)
        text = f"{variant}: {which} cosine of at least {' and '.join(f'{one:g}' for one in least)}"
        text += " (prepared pixels, photos)" if len(least) > 1 else ""
        if pixels.largest is None:
            text += (
                f", {pixels.overlap:.0%} of the 10 nearest neighbours, at most {pixels.knn_loss:g} point of kNN lost"
            )
        found.append(text)
    return f"A file is written only if it reaches, {'; '.join(found)}."


def add_speed(folder: Path, measured: Measured) -> None:
    """Append to README.md what `bench` measured."""
    m = measured
    parts = [
        (folder / "README.md").read_text(encoding="utf-8").rstrip(),
        "## Speed",
        _table(HEADINGS, [cells(line) for line in m.rows]),
        f"Measured at {m.input_px} px on {m.threads} thread of {m.hardware}, torch {m.libraries['torch']}, onnxruntime "
        f"{m.libraries['onnxruntime']}. Each ratio is the median over rounds in which all run in turn; percentiles are "
        "over all runs.",
    ]
    if m.peak_memory_mb:
        most = max(line.batch for line in m.rows)
        parts += [
            _table(MEMORY_HEADINGS, memory_cells(m)),
            f"Of a fresh process that opens the network and runs it once on {most} images.",
        ]
    write_text(folder / "README.md", "\n\n".join(parts) + "\n")


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [headings, ["---"] * len(headings), *rows])


HEADER = ("file", "MB", "photos", "cosine, lowest", "cosine, mean", "same 10 neighbours", "kNN, % (PyTorch)")


def row(path: Path, difference: Difference) -> list[str]:
    """A file's line in a table, under HEADER."""
    d = difference
    return [
        path.name,
        f"{path.stat().st_size / 1e6:.1f}",
        str(d.photos),
        f"{1 - d.largest:.6f}",
        f"{1 - d.mean:.6f}",
        "" if d.overlap is None else f"{d.overlap:.3f}",
        "" if d.knn is None else f"{d.knn:.1f} ({d.knn_pytorch:.1f})",
    ]
