"""An encoder as ONNX files, written only if they give the vectors that PyTorch gives.

model.onnx takes photos: uint8 (N, H, W, 3) of any one size -> (N, F) unit vectors; resize, centre crop,
normalisation, network, pooling and L2 are in the graph. model_pixels.onnx takes normalised (N, 3, H, W) pixels.
Smaller variants lie beside them (model_int8.onnx), and on request the feature maps and a fine-tuned classifier.
export.json and README.md say what they are and how far from PyTorch.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ...hub.encoder import Encoder
from ...hub.errors import DataError
from ...hub.files.atomic import new_folder
from ...hub.files.overwrite import refuse_folder
from ...hub.fingerprint import fingerprint
from ...hub.identity import EncoderId
from ...hub.onnx_encoder import FORMAT, IMAGE_FILE, PIXELS_FILE, OnnxEncoder, Variant, file_name
from ...hub.preprocessing import prepare_pixels
from ...hub.reports.provenance import version
from ...hub.sources.source import Data
from . import extras
from .describe import describe
from .graphs import ImageToPixels, PixelsToVector
from .judge import LIMITS, Difference, compare, refusal, vectors_of
from .samples import Sample, split
from .shrink import to_fp16, to_int8
from .trial_photos import trial_photos
from .write import ExportFailed, join, save, trace_image, trace_pixels

IMAGE_JUDGES = 100  # photos on which a smaller file that takes photos is judged, each a run of its own


@dataclass(frozen=True)
class Wanted:
    """What to write beside the two float32 files.

    Attributes:
        fp16: half the size, about the same speed.
        calibration: photos for an int8 variant: some to calibrate on, others to judge on; None writes none.
        feature_maps: the stages res2 to res5.
        head: folder of a fine-tuned classifier in timm's form.
    """

    fp16: bool = False
    calibration: Data | None = None
    feature_maps: bool = False
    head: Path | None = None


@dataclass(frozen=True)
class Export:
    """An export folder and how far its files are from PyTorch, by their names."""

    folder: Path
    identity: EncoderId
    files: dict[str, Difference]
    others: tuple[str, ...] = ()  # compared in a way of their own

    @property
    def image(self) -> Difference:
        """What was measured of model.onnx, which takes photos, against PyTorch."""
        return self.files[IMAGE_FILE]

    @property
    def pixels(self) -> Difference:
        """What was measured of model_pixels.onnx, which takes normalised pixels, against PyTorch."""
        return self.files[PIXELS_FILE]


def export(
    encoder: Encoder,
    out: Path,
    *,
    wanted: Wanted | None = None,
    photos: Sequence[Image.Image] | None = None,
    overwrite: bool = False,
) -> Export:
    """Write the files, export.json and README.md, compared with PyTorch on photos.

    Args:
        encoder: exported in float32 from a copy; itself unchanged.
        out: the folder to make.
        wanted: what beside the two float32 files.
        photos: RGB images to compare on; None takes a fixed set of many sizes and shapes.
        overwrite: replace a folder that exists.

    Raises:
        ExportFailed: a file differs from PyTorch by more than its limits, or cannot be made; nothing is written.
        OutputExists: `out` exists and `overwrite` is off.
        MissingExtra: onnx or onnxscript is not installed.
    """
    wanted, inputs = wanted or Wanted(), (encoder.source,)
    refuse_folder(out, overwrite, kind="export", inputs=inputs)
    photos = trial_photos() if photos is None else photos
    if len(photos) < 2:
        raise DataError(
            f"Comparing with PyTorch needs at least 2 photos, here are {len(photos)}; give more with --images."
        )
    samples = split(wanted.calibration) if wanted.calibration is not None else None
    encoder = copy.deepcopy(encoder).cpu().float().eval()
    encoder.recorded = None  # float32 may be other weights than the folder's
    identity = encoder.id
    with new_folder(out, overwrite, kind="export", inputs=inputs) as partial:
        folder = _Folder(encoder, identity, partial, photos)
        folder.write("fp32", folder.network)
        folder.judge("fp32")
        if wanted.fp16:
            folder.write("fp16", to_fp16(folder.network))
            folder.judge("fp16")
        if samples is not None:
            pixels = (prepare_pixels(photo, encoder.preprocessing)[None] for photo in samples[0].photos())
            folder.write("int8", to_int8(folder.network, pixels))
            folder.judge_on_others("int8", samples[1])
        if wanted.feature_maps:
            folder.add(extras.write_feature_maps(encoder, partial, folder.note, photos))
        if wanted.head is not None:
            folder.add(extras.write_classifier(wanted.head, partial, folder.note, photos))
        describe(partial, identity, encoder.origin.licence, folder.files)
    compared = {name: found for name, found in folder.files.items() if found is not None}
    return Export(Path(out), identity, compared, tuple(name for name in folder.files if name not in compared))


@dataclass
class _Folder:
    """An export while it is written."""

    encoder: Encoder
    identity: EncoderId
    partial: Path
    photos: Sequence[Image.Image]
    files: dict[str, Difference | None] = field(default_factory=dict)
    models: dict[str, tuple[Any, dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        px = self.encoder.preprocessing.input_px
        self.network = trace_pixels(PixelsToVector(self.encoder), px, ["embedding"])
        self.prepare = trace_image(ImageToPixels(self.encoder.preprocessing), px)
        self.expected = self.encoder.encode(self.photos, batch_size=8)

    @property
    def note(self) -> dict[str, Any]:
        """What every file says of itself."""
        about = {"format": FORMAT, "goodviews": version(), "encoder": self.identity.to_json()}
        return about | ({"licence": self.encoder.origin.licence} if self.encoder.origin.licence else {})

    def write(self, variant: Variant, network: Any) -> None:
        """Both files of a variant, not yet judged; one that computes otherwise has a fingerprint of its own."""
        self._save(variant, PIXELS_FILE, "pixels", network, self.identity)
        identity = self.identity if variant == "fp32" else self._identity_of(file_name(PIXELS_FILE, variant))
        self._save(variant, PIXELS_FILE, "pixels", network, identity)
        self._save(variant, IMAGE_FILE, "image", join(self.prepare, network), identity)

    def _save(self, variant: Variant, name: str, kind: str, model: Any, identity: EncoderId) -> None:
        file = file_name(name, variant)
        note = self.note | {"input": kind, "variant": variant, "encoder": identity.to_json()}
        save(model, self.partial / file, note)
        self.models[file] = (model, note)

    def judge(self, variant: Variant) -> None:
        """Both files on the photos to compare on."""
        for name, kind in ((PIXELS_FILE, "pixels"), (IMAGE_FILE, "image")):
            found = self._open(file_name(name, variant)).encode(self.photos)
            limits = LIMITS[variant, kind]
            self._accept(file_name(name, variant), compare(found, self.expected, limits), variant, kind)

    def judge_on_others(self, variant: Variant, sample: Sample) -> None:
        """Both files on photos that calibration did not see; the one that takes photos on the first of them."""
        pixels, image = file_name(PIXELS_FILE, variant), file_name(IMAGE_FILE, variant)
        few = Sample(sample.source, sample.positions[:: max(1, len(sample.positions) // IMAGE_JUDGES)])
        for name, kind, part in ((pixels, "pixels", sample), (image, "image", few)):
            rows = vectors_of({"pytorch": self.encoder, "file": self._open(name)}, part)
            labels = part.labels() if kind == "pixels" else None  # few photos' vote says little
            self._accept(name, compare(rows["file"], rows["pytorch"], LIMITS[variant, kind], labels), variant, kind)

    def add(self, name: str) -> None:
        """A file that is compared in a way of its own."""
        self.files[name] = None

    def _open(self, name: str) -> OnnxEncoder:
        return OnnxEncoder(self.partial / name, threads=torch.get_num_threads())

    def _identity_of(self, name: str) -> EncoderId:
        return replace(self.identity, fingerprint=fingerprint(self._open(name)))

    def _accept(self, name: str, difference: Difference, variant: Variant, kind: str) -> None:
        """Note the difference in the file itself.

        Raises:
            ExportFailed: it is too large.
        """
        reason = refusal(difference, LIMITS[variant, kind])
        if reason is not None:
            remedy = "Please report it as an issue." if variant == "fp32" else f"Export without --{variant}."
            raise ExportFailed(f"{name} {reason}; nothing was written. {remedy}")
        model, note = self.models.pop(name)
        save(model, self.partial / name, note | {"difference_from_pytorch": difference.to_json()})
        self.files[name] = difference
