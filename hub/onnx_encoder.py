"""OnnxEncoder: an exported encoder on numpy, Pillow and ONNX Runtime (or OpenVINO), and nothing else.

encoder = OnnxEncoder("exported")              # or OnnxEncoder("exported", variant="int8", runtime="openvino")
vectors = encoder.encode(["a.jpg", "b.png"])   # (2, F) float32, unit rows
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import groupby, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from .deep_pixels import Values
from .errors import ArtifactError, DataError, UsageError
from .files.json_files import Fields, Place, parse_json
from .identity import EncoderId, sha256
from .images import ImageLike, SkippedImages, as_photo, check_request, name_of, problem_with
from .onnx_runtimes import Runtime, open_session
from .output.progress import track
from .preprocessing import Preprocessing, middle, prepare_pixels
from .vectors import refuse_odd_vectors

FORMAT = 1
IMAGE_FILE = "model.onnx"
PIXELS_FILE = "model_pixels.onnx"
METADATA_KEY = "goodviews"

Variant = Literal["fp32", "fp16", "int8"]

Prepare = Callable[[ImageLike], np.ndarray | DataError]


class OnnxEncoder:
    """An exported encoder, ready for photos.

    Args:
        path: the folder that `goodviews export` wrote, or one of its .onnx files. Of a folder the plain file is run
            and Pillow prepares the photos, as in PyTorch: images of different sizes then share a batch.
        variant: which of a folder's files; None takes fp32, and of a file that file.
        runtime: "onnxruntime", or "openvino" on the same file, where that takes prepared pixels.
        threads: of the runtime's own pool; None leaves the number to it.
        providers: of ONNX Runtime: "cpu", "cuda", "tensorrt" or its own names, the preferred first; None: "cpu".

    Attributes:
        source: what opens it again.
        id: of the encoder that was exported, as the file records it.
        takes_images: whether the file takes photos as they are, or normalised pixels.
        variant: the arithmetic of the file.
        licence: of the weights, where it was stated.
        measured: how far the file's vectors are from PyTorch's, as the export found it.

    It can be pickled: the process that gets it opens the file again.

    Raises:
        MissingExtra: the runtime is not installed.
        ArtifactError: there is no such file, it is damaged, or goodviews did not write it.
        UsageError: there is no such variant, runtime or provider.
    """

    backend = "onnx"
    device = "cpu"
    is_exported = True

    def __init__(
        self,
        path: Path | str,
        *,
        variant: Variant | None = None,
        runtime: Runtime = "onnxruntime",
        threads: int | None = None,
        providers: Sequence[str] | None = None,
    ):
        self.path = _file(Path(path), variant)
        self.source: str | None = str((self.path if variant else Path(path)).resolve())
        self._options: dict[str, Any] = {"runtime": runtime, "threads": threads, "providers": providers}
        self._session = open_session(self.path, METADATA_KEY, **self._options)
        note = _read_note(self._session.note, self.path)
        self.takes_images: bool = note["input"] == "image"
        self.variant: Variant = note.get("variant", "fp32")
        if variant not in (None, self.variant):
            raise UsageError(f"{self.path} is {self.variant}, not {variant}; leave variant out, or give the folder.")
        self.id = EncoderId.from_json(note["encoder"], self.path)
        self.licence: str | None = note.get("licence")
        self.measured: dict[str, Any] = note.get("difference_from_pytorch", {})

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_session"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._session = open_session(self.path, METADATA_KEY, **self._options)

    @property
    def name(self) -> str:
        """For people: the encoder's and the file's."""
        return f"{self.id.name} ({self.path.name})"

    @property
    def num_features(self) -> int:
        """Numbers in a vector, such as 2048 of a ResNet-50."""
        assert self.id.dimension is not None, "from_json refuses a file without it"
        return self.id.dimension

    @property
    def preprocessing(self) -> Preprocessing:
        """How photos are resized, cropped and normalised, as the file says."""
        assert self.id.preprocessing is not None, "from_json refuses a file without it"
        return self.id.preprocessing

    def declare_values(self, values: Values | None) -> None:
        """Which values of photos of more than 8 bits are black and white; None changes nothing."""
        if values is not None:
            self.id = replace(self.id, preprocessing=replace(self.preprocessing, values=values))

    def report_id(self) -> EncoderId:
        """The file's own digest, hashed now: a smaller variant of the same weights is another encoder to a report."""
        return EncoderId(self.name, self.id.architecture, sha256(self.path))

    def encode(
        self,
        images: Iterable[ImageLike],
        *,
        batch_size: int = 64,
        progress: bool = False,
        workers: int = 0,
        normalise: bool = True,
        skipped: SkippedImages | None = None,
    ) -> np.ndarray:
        """Photos to unit vectors; an image's vector does not depend on what shares its batch.

        Args:
            images: paths, the bytes of image files, Pillow images or (H, W, 3) uint8 RGB arrays, in any mixture; what
                can be gone through once only, such as a generator, is made a list first.
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
        images = check_request(images, batch_size, workers)
        if not normalise:
            raise UsageError(f"{self.name} gives unit vectors only; leave normalise on, or open the encoder folder.")
        prepare = partial(_input, preprocessing=self.preprocessing, is_whole=self.takes_images)
        prepared = _map(prepare, track(images, "Encoding", is_shown=progress), workers)
        inputs = _readable(prepared, images, skipped)
        rows = [np.empty((0, self.num_features), np.float32)]
        for _, alike in groupby(inputs, key=np.shape):  # the file that takes images needs one size a batch
            while batch := list(islice(alike, batch_size)):
                rows.append(self.embed(np.stack(batch)))
        return refuse_odd_vectors(np.concatenate(rows), self.name)

    def embed(self, batch: np.ndarray) -> np.ndarray:
        """Run the file as it is: (N, 3, H, W) normalised float32, or (N, H, W, 3) uint8 where it takes images."""
        return self._session.run(batch)[0]


def is_exported(path: Path | str) -> bool:
    """Whether a path is an .onnx file or a folder with one of ours; says nothing of what is inside."""
    path = Path(path)
    return path.suffix == ".onnx" or (path / PIXELS_FILE).is_file() or (path / IMAGE_FILE).is_file()


def file_name(name: str, variant: Variant) -> str:
    """Of a variant: "model.onnx" is fp32, "model_int8.onnx" int8."""
    return name if variant == "fp32" else name.replace(".onnx", f"_{variant}.onnx")


def _file(path: Path, variant: Variant | None) -> Path:
    if variant is not None and variant not in get_args(Variant):
        raise UsageError(f"variant is {variant}; it must be {', '.join(get_args(Variant))}.")
    names = [file_name(name, variant or "fp32") for name in (PIXELS_FILE, IMAGE_FILE)]
    candidates = [path / name for name in names] if path.is_dir() else [path]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    if variant is not None and is_exported(path):
        raise ArtifactError(f"{path} has no {variant} file; export the encoder again with --{variant}.")
    raise ArtifactError(
        f"{path} holds no exported encoder; give the folder that 'goodviews export' wrote, or a file of it."
    )


def _read_note(text: str | None, path: Path) -> dict[str, Any]:
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
    if note.get("output", "embedding") != "embedding":
        raise ArtifactError(f"{path} gives {note['output']}, no embedding; give {IMAGE_FILE} or {PIXELS_FILE}.")
    if "variant" in note:
        fields.choice("variant", get_args(Variant))
    if note.get("licence") is not None:
        fields.text("licence")
    if "difference_from_pytorch" in note:
        fields.part("difference_from_pytorch")
    return note


def _input(image: ImageLike, preprocessing: Preprocessing, is_whole: bool) -> np.ndarray | DataError:
    """What the network takes of an image (the photo itself where `is_whole`), or why it cannot be read."""
    try:
        photo = as_photo(image, values=preprocessing.values)
    except DataError as error:
        return error
    return np.asarray(middle(photo)) if is_whole else prepare_pixels(photo, preprocessing)


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
            continue
        image = images[position]
        problem = problem_with(image, position, item)
        if skipped is None:
            raise DataError(problem)
        skipped.add(name_of(image, position), problem, position)
