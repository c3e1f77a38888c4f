"""OnnxEncoder: an exported encoder on numpy, Pillow and ONNX Runtime, and nothing else.

    encoder = OnnxEncoder("exported")
    vectors = encoder.encode(["a.jpg", "b.png"])   # (2, F) float32, unit rows

The only module that imports onnxruntime.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from itertools import groupby, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ArtifactError, DataError, MissingExtra, UsageError
from .files.json_files import Fields, Place, parse_json
from .identity import EncoderId, sha256
from .images import ImageLike, SkippedImages, as_photo, check_request, name_of
from .output.progress import track
from .preprocessing import Preprocessing, prepare_pixels
from .vectors import refuse_odd_vectors

FORMAT = 1
IMAGE_FILE = "model.onnx"
PIXELS_FILE = "model_pixels.onnx"
METADATA_KEY = "goodviews"

Prepare = Callable[[ImageLike], np.ndarray | DataError]


class OnnxEncoder:
    """An exported encoder, ready for photos.

    Args:
        path: the folder that `goodviews export` wrote, or one of its .onnx files. Of a folder the plain file is run
            and Pillow prepares the photos, as in PyTorch: images of different sizes then share a batch.
        threads: of ONNX Runtime's own pool; None leaves the number to it.

    Attributes:
        source: what opens it again.
        id: of the encoder that was exported, as the file records it.
        takes_images: whether the file takes photos as they are, or normalised pixels.
        measured: how far the file's vectors are from PyTorch's, as the export found it.

    Raises:
        MissingExtra: onnxruntime is not installed.
        ArtifactError: there is no such file, it is damaged, or goodviews did not write it.
    """

    backend = "onnx"
    device = "cpu"
    is_exported = True

    def __init__(self, path: Path | str, *, threads: int | None = None):
        self.path = _file(Path(path))
        self.source: str | None = str(Path(path).resolve())
        self._session = _open(self.path, threads)
        note = _read_note(self._session, self.path)
        self.takes_images: bool = note["input"] == "image"
        self.id = EncoderId.from_json(note["encoder"], self.path)
        self.measured: dict[str, Any] = note.get("difference_from_pytorch", {})

    @property
    def name(self) -> str:
        """For people: the encoder's and the file's."""
        return f"{self.id.name} ({self.path.name})"

    @property
    def num_features(self) -> int:
        assert self.id.dimension is not None, "from_json refuses a file without it"
        return self.id.dimension

    @property
    def preprocessing(self) -> Preprocessing:
        assert self.id.preprocessing is not None, "from_json refuses a file without it"
        return self.id.preprocessing

    def report_id(self) -> EncoderId:
        """The file's own digest, hashed now: a smaller variant of the same weights is another encoder to a report."""
        return EncoderId(self.name, self.id.architecture, sha256(self.path))

    def encode(
        self,
        images: Sequence[ImageLike],
        *,
        batch_size: int = 64,
        progress: bool = False,
        workers: int = 0,
        normalise: bool = True,
        skipped: SkippedImages | None = None,
    ) -> np.ndarray:
        """Photos to unit vectors; an image's vector does not depend on what shares its batch.

        Args:
            images: paths, Pillow images or (H, W, 3) uint8 RGB arrays, in any mixture.
            batch_size: images a run of the network; fewer where neighbours differ in size and the file takes images.
            progress: show how far it is: a bar where rich is installed, else lines on standard error.
            workers: processes that decode; 0 decodes in this one.
            normalise: must be on: an exported encoder has no vectors of another length.
            skipped: with a list given, an unreadable image is noted there (with its position) and its row left
                out; without one it is an error.

        Returns:
            (number of readable images, F) float32, unit rows.

        Raises:
            ArtifactError: the vectors are NaN, infinite, or zero for every image.
            DataError: an image cannot be read and `skipped` is None.
            UsageError: `images` is no list, `batch_size` is below 1, `workers` below 0, or `normalise` off.
        """
        check_request(images, batch_size, workers)
        if not normalise:
            raise UsageError(f"{self.name} gives unit vectors only; leave normalise on, or open the encoder folder.")
        prepare = partial(_input, preprocessing=None if self.takes_images else self.preprocessing)
        prepared = _map(prepare, track(images, "Encoding", is_shown=progress), workers)
        inputs = _readable(prepared, images, skipped)
        rows = [np.empty((0, self.num_features), np.float32)]
        for _, alike in groupby(inputs, key=np.shape):  # the file that takes images needs one size a batch
            while batch := list(islice(alike, batch_size)):
                rows.append(self.embed(np.stack(batch)))
        return refuse_odd_vectors(np.concatenate(rows), self.name)

    def embed(self, batch: np.ndarray) -> np.ndarray:
        """Run the file as it is: (N, 3, H, W) normalised float32, or (N, H, W, 3) uint8 where it takes images."""
        vectors: np.ndarray = self._session.run(None, {self._session.get_inputs()[0].name: batch})[0]
        return vectors


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
    # Threads that wait leave the processor to others.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
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
    place = Place(path, "export the encoder again")
    note = parse_json(text, place)
    fields = Fields(note, place)
    fields.whole("format", FORMAT, FORMAT)
    fields.choice("input", ("image", "pixels"))
    if "difference_from_pytorch" in note:
        fields.part("difference_from_pytorch")
    return note


def _input(image: ImageLike, preprocessing: Preprocessing | None) -> np.ndarray | DataError:
    """What the network takes of an image (with None the photo itself), or why it cannot be read."""
    try:
        photo = as_photo(image)
    except DataError as error:
        return error
    return np.asarray(photo) if preprocessing is None else prepare_pixels(photo, preprocessing)


def _map(prepare: Prepare, images: Iterable[ImageLike], workers: int) -> Iterator[np.ndarray | DataError]:
    """`prepare` of each image, in order; the processes are at most twice their number of images ahead."""
    if workers == 0:
        yield from map(prepare, images)
        return
    # A process forked from one that runs ONNX Runtime may hang in its locks; a new one starts without them.
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        ahead: deque[Future[np.ndarray | DataError]] = deque()
        for image in images:
            ahead.append(pool.submit(prepare, image))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _readable(
    prepared: Iterator[np.ndarray | DataError], images: Sequence[ImageLike], skipped: SkippedImages | None
) -> Iterator[np.ndarray]:
    for position, item in enumerate(prepared):
        if not isinstance(item, DataError):
            yield item
        elif skipped is None:
            raise item
        else:
            skipped.add(name_of(images[position], position), str(item), position)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
