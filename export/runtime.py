"""OnnxEncoder: an exported encoder on numpy, Pillow and ONNX Runtime; torch is never imported.

    encoder = OnnxEncoder("exported")
    vectors = encoder.encode(["a.jpg", "b.png"])   # (2, F) float32, unit rows

The only module that imports onnxruntime.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.progress import track

from ..hub.errors import ArtifactError, DataError, MissingExtra, UsageError
from ..hub.images import ImageLike, SkippedImages, as_photo
from .identity import EncoderIdentity
from .prepare import prepare_pixels

FORMAT = 1
IMAGE_FILE = "model.onnx"
PIXELS_FILE = "model_pixels.onnx"
METADATA_KEY = "goodviews"


class OnnxEncoder:
    """An exported encoder, ready for photos.

    Args:
        path: the folder that `goodviews export` wrote, or one of its .onnx files. Of a folder the plain file is run
            and Pillow prepares the photos, as in PyTorch: images of different sizes then share a batch.
        threads: of ONNX Runtime's own pool; None leaves the number to it.

    Raises:
        MissingExtra: onnxruntime is not installed.
        ArtifactError: there is no such file, it is damaged, or goodviews did not write it.
    """

    backend = "onnx"

    def __init__(self, path: Path | str, *, threads: int | None = None):
        self.path = _file(Path(path))
        self.source = str(Path(path).resolve())
        self._session = _open(self.path, threads)
        note = _read_note(self._session, self.path)
        self.takes_images: bool = note["input"] == "image"
        self.identity = EncoderIdentity.from_json(note["encoder"], self.path)
        self.measured: dict[str, Any] = note.get("difference_from_pytorch", {})

    @property
    def num_features(self) -> int:
        return self.identity.dimension

    def encode(
        self,
        images: Sequence[ImageLike],
        *,
        batch_size: int = 64,
        progress: bool = False,
        skipped: SkippedImages | None = None,
    ) -> np.ndarray:
        """Photos to unit vectors; an image's vector does not depend on what shares its batch.

        Args:
            images: paths, Pillow images or (H, W, 3) uint8 RGB arrays, in any mixture.
            batch_size: images a run of the network; fewer where neighbours differ in size and the file takes images.
            progress: show a bar.
            skipped: with a list given, an unreadable image is noted there (with its position) and its row left
                out; without one it is an error.

        Returns:
            (number of readable images, F) float32, unit rows.

        Raises:
            DataError: an image cannot be read and `skipped` is None.
        """
        if isinstance(images, str | Path | Image.Image):
            raise UsageError("encode takes a list of images; put the single one into a list.")
        if batch_size < 1:
            raise UsageError(f"batch_size is {batch_size}; it must be 1 or more.")
        photos = _open_photos(track(images, "Encoding", disable=not progress), skipped)
        inputs = (self._input(photo) for photo in photos)
        rows = [np.empty((0, self.num_features), np.float32)]
        for _, alike in groupby(inputs, key=np.shape):  # the file that takes images needs one size a batch
            while batch := list(islice(alike, batch_size)):
                rows.append(self.embed(np.stack(batch)))
        return np.concatenate(rows)

    def embed(self, batch: np.ndarray) -> np.ndarray:
        """Run the file as it is: (N, 3, H, W) normalised float32, or (N, H, W, 3) uint8 where it takes images."""
        return self._session.run(None, {self._session.get_inputs()[0].name: batch})[0]

    def _input(self, photo: Image.Image) -> np.ndarray:
        return np.asarray(photo) if self.takes_images else prepare_pixels(photo, self.identity.preprocessing)


def is_exported(path: Path | str) -> bool:
    """Whether a path is an .onnx file or a folder with one of ours; says nothing of what is inside."""
    path = Path(path)
    return path.suffix == ".onnx" or (path / PIXELS_FILE).is_file() or (path / IMAGE_FILE).is_file()


def _file(path: Path) -> Path:
    candidates = [path / PIXELS_FILE, path / IMAGE_FILE] if path.is_dir() else [path]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise ArtifactError(
        f"{path} holds no exported encoder; give the folder that 'goodviews export' wrote, or a file of it."
    )


def _open(path: Path, threads: int | None) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise MissingExtra("onnxruntime", extra="onnx", needed_for="Running an exported encoder") from None
    if threads is not None and threads < 1:
        raise UsageError(f"threads is {threads}; it must be 1 or more.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # waiting threads leave the processor to others
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a dozen private classes; all mean the file is no usable model
        raise ArtifactError(f"{path} is not a complete ONNX file ({_first_line(error)}); export it again.") from None


def _read_note(session: Any, path: Path) -> dict[str, Any]:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ArtifactError(
            f"{path} was not exported by goodviews: it does not say how its photos must be prepared. "
            "Export the encoder with 'goodviews export'."
        )
    try:
        note = json.loads(text)
        if note["format"] != FORMAT:
            raise ArtifactError(
                f"{path} has format {note['format']}; this goodviews reads format {FORMAT}. Export it again."
            )
        if note["input"] not in {"image", "pixels"}:
            raise KeyError(note["input"])
    except (json.JSONDecodeError, KeyError, TypeError):
        raise ArtifactError(f"{path} has damaged metadata; export the encoder again.") from None
    return note


def _open_photos(images: Any, skipped: SkippedImages | None) -> Iterator[Image.Image]:
    for position, image in enumerate(images):
        try:
            photo = as_photo(image)
        except DataError as error:
            if skipped is None:
                raise
            name = str(image) if isinstance(image, str | Path) else f"image {position}"
            skipped.add(name, str(error), position)
        else:
            yield photo


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
