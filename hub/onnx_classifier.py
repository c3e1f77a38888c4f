"""OnnxClassifier: an exported fine-tuned network on numpy, Pillow and ONNX Runtime, and nothing else.

classifier = OnnxClassifier("exported/classifier.onnx")
probabilities = classifier.classify(["a.jpg", "b.png"])        # (2, C) float32, rows of sum 1
classifier.classes[probabilities[0].argmax()]                  # the name of a class
"""

from collections.abc import Sequence
from itertools import groupby, islice
from pathlib import Path

import numpy as np
from PIL.Image import Image

from .deep_pixels import Values
from .errors import ArtifactError
from .files.json_files import Fields, Place, parse_json
from .identity import recorded_values
from .images import ImageLike, as_photo, check_request, name_of
from .onnx_encoder import FORMAT, METADATA_KEY
from .onnx_runtimes import open_session

CLASSIFIER_FILE = "classifier.onnx"


class OnnxClassifier:
    """A classifier that `goodviews export --head` wrote.

    Args:
        path: the file, or the folder that it lies in.
        threads: of ONNX Runtime's own pool; None leaves the number to it.

    Attributes:
        classes: the names of the outputs, in their order.
        values: of photos of more than 8 bits, which are black and white, see `deep_pixels`; None where unknown.

    Raises:
        ArtifactError: there is no such file, it is damaged, or it is no classifier of goodviews.
        MissingExtra: ONNX Runtime is not installed.
    """

    def __init__(self, path: Path | str, *, threads: int | None = None):
        path = Path(path)
        self.path = path / CLASSIFIER_FILE if path.is_dir() else path
        if not self.path.is_file():
            raise ArtifactError(f"{self.path} does not exist; write it with 'goodviews export --head'.")
        self._session = open_session(self.path, METADATA_KEY, runtime="onnxruntime", threads=threads, providers=None)
        self.classes, self.values = _read_note(self._session.note, self.path)

    def classify(self, images: Sequence[ImageLike], *, batch_size: int = 64) -> np.ndarray:
        """Photos to probabilities.

        Args:
            images: as `OnnxEncoder.encode` takes them.
            batch_size: images a run of the network; fewer where neighbours differ in size.

        Returns:
            (N, C) float32.

        Raises:
            DataError: an image cannot be read.
            UsageError: `images` is no list, or `batch_size` is below 1.
        """
        check_request(images, batch_size, 0)
        photos = (np.asarray(self._photo(image, position)) for position, image in enumerate(images))
        rows = [np.empty((0, len(self.classes)), np.float32)]
        for _, alike in groupby(photos, key=np.shape):
            while batch := list(islice(alike, batch_size)):
                rows.append(self._session.run(np.stack(batch))[0])
        return np.concatenate(rows)

    def _photo(self, image: ImageLike, position: int) -> Image:
        return as_photo(image, values=self.values, name=name_of(image, position))


def _read_note(text: str | None, path: Path) -> tuple[tuple[str, ...], Values | None]:
    """The classes and the range of values that a file's metadata hold."""
    place = Place(path, "write it with 'goodviews export --head'")
    if text is None:
        raise ArtifactError(f"{path} was not exported by goodviews: it names no classes; {place.remedy}.")
    note = parse_json(text, place)
    Fields(note, place).whole("format", FORMAT, FORMAT)
    names = note.get("classes")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise place.refuse("classes", names, "a list of names")
    about = Fields(note, place).part("classifier").part("preprocessing")
    return tuple(names), recorded_values(about)
