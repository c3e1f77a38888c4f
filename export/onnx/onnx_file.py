"""An encoder as two ONNX files, written only if they give the vectors that PyTorch gives.

model.onnx takes photos: uint8 (N, H, W, 3) of any one size -> (N, F) unit vectors; resize, centre crop,
normalisation, network, pooling and L2 are in the graph. model_pixels.onnx takes normalised (N, 3, H, W) pixels.
export.json says what they are. Only this room imports onnx.
"""

import copy
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ...hub.encoder import Encoder
from ...hub.errors import DataError, GoodviewsError, MissingExtra
from ...hub.files.atomic import new_folder, write_bytes, write_json
from ...hub.files.overwrite import refuse_folder
from ...hub.identity import EncoderId
from ...hub.onnx_encoder import FORMAT, IMAGE_FILE, METADATA_KEY, PIXELS_FILE, OnnxEncoder
from ...hub.reports.provenance import version
from .trial_photos import trial_photos

LIMITS = {"pixels": 1e-4, "image": 1e-2}  # cosine distance to PyTorch; about 1e-7 is usual for both
SPREAD_SHARE = 0.1  # and never more than this share of the distance between different photos

Input = Literal["image", "pixels"]


class ExportFailed(GoodviewsError):
    """The network cannot be exported, or the file does not give PyTorch's vectors; nothing was written."""


@dataclass(frozen=True)
class Difference:
    """Cosine distances between PyTorch's and the file's vectors of the same photos.

    `spread` is the mean distance between different photos, without which the others mean nothing.
    """

    photos: int
    largest: float
    mean: float
    spread: float
    limit: float


@dataclass(frozen=True)
class Export:
    """An export folder and how far its files are from PyTorch."""

    folder: Path
    identity: EncoderId
    image: Difference
    pixels: Difference


def export(
    encoder: Encoder, out: Path, *, photos: Sequence[Image.Image] | None = None, overwrite: bool = False
) -> Export:
    """Write both files and export.json, compared with PyTorch on photos.

    Args:
        encoder: exported in float32 from a copy; itself unchanged.
        out: the folder to make.
        photos: RGB images to compare on; None takes a fixed set of many sizes and shapes.
        overwrite: replace a folder that exists.

    Raises:
        ExportFailed: a file differs from PyTorch by more than its limit, or cannot be made.
        OutputExists: `out` exists and `overwrite` is off.
        MissingExtra: onnx or onnxscript is not installed.
    """
    inputs = (encoder.source,)
    refuse_folder(out, overwrite, kind="export", inputs=inputs)
    photos = trial_photos() if photos is None else photos
    if len(photos) < 2:
        raise DataError(
            f"Comparing with PyTorch needs at least 2 photos, here are {len(photos)}; give more with --images."
        )
    encoder = copy.deepcopy(encoder).cpu().float().eval()
    encoder.recorded = None  # float32 may be other weights than the folder's
    identity = encoder.id
    expected = encoder.encode(photos, batch_size=8)
    with new_folder(out, overwrite, kind="export", inputs=inputs) as partial:
        image = _write(encoder, partial / IMAGE_FILE, "image", identity, photos, expected)
        pixels = _write(encoder, partial / PIXELS_FILE, "pixels", identity, photos, expected)
        write_json(partial / "export.json", _describe(identity, image, pixels))
    return Export(Path(out), identity, image, pixels)


class PixelsToVector(nn.Module):
    """(N, 3, H, W) normalised -> (N, F) unit rows."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.backbone = encoder.backbone

    def forward(self, pixels: Tensor) -> Tensor:
        return F.normalize(self.backbone(pixels), dim=1)


class ImageToVector(nn.Module):
    """(N, H, W, 3) uint8 -> (N, F) unit rows, prepared as Pillow and torchvision prepare photos.

    Resizing the uint8 tensor rounds as Pillow does; the crop offset takes halves to even as CenterCrop does (one
    pixel off costs 1e-3 in cosine).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.backbone = encoder.backbone
        p = encoder.preprocessing
        self.crop_px, self.short_px = p.input_px, math.floor(p.input_px / p.crop_pct)
        self.interpolation = p.interpolation
        self.register_buffer("mean", torch.tensor(p.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(p.std).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[1], image.shape[2]
        short = cast(int, torch.sym_min(height, width))  # min() would be decided while tracing
        size = (height * self.short_px // short, width * self.short_px // short)
        resized = F.interpolate(image.permute(0, 3, 1, 2), size=size, mode=self.interpolation, antialias=True)
        top, left = (_half_to_even(side - self.crop_px) for side in size)
        cropped = resized.narrow(2, top, self.crop_px).narrow(3, left, self.crop_px)
        normalised = (cropped.float() / 255 - self.mean) / self.std
        return F.normalize(self.backbone(normalised), dim=1)


def _half_to_even(difference: int) -> int:
    half = difference // 2
    return half + (difference % 2) * (half % 2)


def _write(
    encoder: Encoder,
    path: Path,
    kind: Input,
    identity: EncoderId,
    photos: Sequence[Image.Image],
    expected: np.ndarray,
) -> Difference:
    """Trace, strip, save, run, compare; then note the measured difference in the file itself."""
    module = ImageToVector(encoder) if kind == "image" else PixelsToVector(encoder)
    model = _trace(module.eval(), kind, encoder.preprocessing.input_px)
    _strip(model)
    note = {"format": FORMAT, "input": kind, "goodviews": version(), "encoder": identity.to_json()}
    _save(model, path, note)
    difference = _compare(OnnxEncoder(path, threads=torch.get_num_threads()).encode(photos), expected, LIMITS[kind])
    if not difference.largest <= difference.limit:
        raise ExportFailed(
            f"{path.name} is {difference.largest:.2g} away from PyTorch in cosine distance, "
            f"where at most {difference.limit:.2g} is allowed; nothing was written. Please report it as an issue."
        )
    _save(model, path, note | {"difference_from_pytorch": asdict(difference)})
    return difference


def _trace(module: nn.Module, kind: Input, px: int) -> Any:
    _needs("onnxscript")
    example, axes = _example(kind, px)
    try:
        program = torch.onnx.export(
            module,
            (example,),
            input_names=[kind],
            output_names=["embedding"],
            dynamic_shapes=(axes,),
            dynamo=True,
            verbose=False,
        )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error).strip().splitlines()[0]
        raise ExportFailed(f"PyTorch cannot write this network as ONNX ({reason}); nothing was written.") from error
    assert program is not None
    return program.model_proto


def _example(kind: Input, px: int) -> tuple[Tensor, dict[int, str]]:
    if kind == "image":  # sides that differ from each other and from px, so that none is taken for a constant
        return torch.zeros(2, px + 83, px + 141, 3, dtype=torch.uint8), {0: "batch", 1: "height", 2: "width"}
    return torch.zeros(2, 3, px, px + 32), {0: "batch", 2: "height", 3: "width"}


def _strip(model: Any) -> None:
    """Remove what torch writes about this machine: stack traces with its paths, at every node and value."""
    graphs = [model.graph, *model.functions]
    for graph in graphs:
        del graph.metadata_props[:]
        for node in graph.node:
            del node.metadata_props[:]
            node.doc_string = ""
            assert not any(attribute.HasField("g") for attribute in node.attribute)
        for value in graph.value_info:
            del value.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    del model.metadata_props[:]


def _save(model: Any, path: Path, note: dict[str, Any]) -> None:
    text = json.dumps(note, ensure_ascii=False, allow_nan=False)
    _needs("onnx").helper.set_model_props(model, {METADATA_KEY: text})
    write_bytes(path, model.SerializeToString(deterministic=True))


def _compare(found: np.ndarray, expected: np.ndarray, limit: float) -> Difference:
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    distances = 1 - _cosines(found, expected).diagonal()
    between = 1 - _cosines(expected, expected)[np.triu_indices(len(expected), 1)]
    spread = float(between.mean())
    return Difference(
        len(expected), float(distances.max()), float(distances.mean()), spread, min(limit, SPREAD_SHARE * spread)
    )


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    units_a, units_b = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (a, b))
    cosines: np.ndarray = units_a @ units_b.T
    return cosines


def _describe(identity: EncoderId, image: Difference, pixels: Difference) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "goodviews": version(),
        "encoder": identity.to_json(),
        "files": {
            IMAGE_FILE: {
                "input": "image: uint8 (batch, height, width, 3) RGB",
                "output": "embedding: float32 (batch, dimension), unit rows",
                "difference_from_pytorch": asdict(image),
            },
            PIXELS_FILE: {
                "input": "pixels: float32 (batch, 3, height, width), normalised with encoder.preprocessing",
                "output": "embedding: float32 (batch, dimension), unit rows",
                "difference_from_pytorch": asdict(pixels),
            },
        },
    }


def _needs(package: str) -> Any:
    try:
        return import_module(package)
    except ModuleNotFoundError:
        raise MissingExtra(package, extra="onnx", needed_for="Exporting an encoder") from None
