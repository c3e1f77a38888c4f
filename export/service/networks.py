"""What turns photos into vectors in the service: an opened encoder, its preparation apart from its network.

Preparing runs in many threads at once, the network in one (`batches`).
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...hub.deep_pixels import Values
from ...hub.errors import ArtifactError, GoodviewsError
from ...hub.identity import EncoderId
from ...hub.onnx_encoder import METADATA_KEY, OnnxEncoder
from ...hub.onnx_runtimes import open_session
from ...hub.photo_encoder import PhotoEncoder
from ...hub.preprocessing import middle, prepare_pixels
from ...hub.vectors import refuse_odd_vectors
from .region import Box, Maps, crop, region_vector

MAPS_FILE = "feature_maps.onnx"
AGREEMENT = 0.999  # cosine of the averaged last map with the encoder's own vector; less is another kind of pooling


class Network:
    """An encoder, ready for a service.

    Attributes:
        id: of the encoder, computed once.
        maps: its last feature map; None for one that gives none, or that pools otherwise than by averaging.
    """

    def __init__(self, encoder: PhotoEncoder):
        self.encoder, self.id = encoder, encoder.id
        self._run = _of_onnx(encoder) if isinstance(encoder, OnnxEncoder) else _of_torch(encoder)
        self.maps = self._agreeing(_maps_of(encoder))

    @property
    def name(self) -> str:
        return self.encoder.name

    @property
    def dimension(self) -> int:
        return self.encoder.num_features

    @property
    def values(self) -> Values | None:
        return self.encoder.preprocessing.values

    @property
    def takes_images(self) -> bool:
        """Whether the network itself resizes; photos of one size only then share a batch."""
        return isinstance(self.encoder, OnnxEncoder) and self.encoder.takes_images

    def prepare(self, photo: Image.Image) -> np.ndarray:
        """What `embed` takes of an RGB photo."""
        if self.takes_images:
            return np.asarray(middle(photo))
        if isinstance(self.encoder, OnnxEncoder):
            return prepare_pixels(photo, self.encoder.preprocessing)
        pixels: np.ndarray = self.encoder.preprocess(photo).numpy()  # type: ignore[attr-defined]
        return pixels

    def embed(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """(N, F) float32, unit rows, in the order given."""
        rows: list[np.ndarray] = []
        for _, alike in groupby(prepared, key=np.shape):
            rows.append(self._run(np.stack(list(alike))))
        return refuse_odd_vectors(np.concatenate(rows), self.name)

    def embed_region(self, photo: Image.Image, box: Box) -> np.ndarray:
        """(F,) float32 of unit length: from the feature map, or of the crop where there is none."""
        if self.maps is None:
            vector: np.ndarray = self.embed([self.prepare(crop(photo, box))])[0]
            return vector
        return region_vector(self.maps, photo, box, self.encoder.preprocessing)

    @property
    def region_method(self) -> str:
        """How regions are searched: "feature map" or "crop"."""
        return "crop" if self.maps is None else "feature map"

    def _agreeing(self, maps: Maps | None) -> Maps | None:
        if maps is None:
            return None
        side = self.encoder.preprocessing.input_px
        noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
        photo = Image.fromarray(noise)
        # the same pixels to both ways: without what resizing and cropping do
        pixels = prepare_pixels(photo, self.encoder.preprocessing)[None]
        pooled = maps(pixels)[0].mean(axis=(1, 2))
        own = self.embed([self.prepare(photo)])[0]
        cosine = float(pooled @ own / max(float(np.linalg.norm(pooled)), 1e-12))
        return maps if cosine >= AGREEMENT else None


def _of_onnx(encoder: OnnxEncoder) -> Callable[[np.ndarray], np.ndarray]:
    return encoder.embed


def _of_torch(encoder: Any) -> Callable[[np.ndarray], np.ndarray]:
    import torch

    def run(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            vectors: np.ndarray = encoder.embed(torch.from_numpy(batch).to(encoder.device)).cpu().numpy()
        return vectors

    return run


def _maps_of(encoder: Any) -> Maps | None:
    """The last feature map of an encoder on PyTorch, or of the file that an export has beside it."""
    if isinstance(encoder, OnnxEncoder):
        return _maps_of_file(encoder.path.parent / MAPS_FILE, encoder.id)
    import torch

    def run(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            found: np.ndarray = encoder.feature_maps(torch.from_numpy(pixels).to(encoder.device))["res5"].cpu().numpy()
        return found

    side = encoder.preprocessing.input_px
    try:
        run(np.zeros((1, 3, side, side), np.float32))
    except GoodviewsError:  # no ResNet with four stages
        return None
    return run


def _maps_of_file(path: Path, identity: EncoderId) -> Maps | None:
    if not path.is_file():
        return None
    session = open_session(path, METADATA_KEY, runtime="onnxruntime", threads=None, providers=None)
    if session.note is None or identity.weights_sha256 not in session.note:
        raise ArtifactError(f"{path} is of another encoder than the files beside it; export the encoder again.")

    def run(pixels: np.ndarray) -> np.ndarray:
        return session.run(pixels)[-1]

    return run
