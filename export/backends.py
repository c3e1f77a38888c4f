"""One door to whatever can encode: an encoder on PyTorch or an exported one on ONNX Runtime, told apart by path."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..hub.images import ImageLike, SkippedImages
from .identity import EncoderIdentity
from .runtime import OnnxEncoder, is_exported

if TYPE_CHECKING:
    from ..hub.encoder import Encoder


class EncodesPhotos(Protocol):
    """What an index needs of an encoder.

    Attributes:
        source: what `open_encoder` takes to open it again.
        backend: "torch" or "onnx".
    """

    source: str
    backend: str
    identity: EncoderIdentity

    def encode(
        self,
        images: Sequence[ImageLike],
        *,
        batch_size: int = ...,
        progress: bool = ...,
        skipped: SkippedImages | None = ...,
    ) -> np.ndarray:
        """Photos -> (N, F) float32, unit rows."""
        ...


class TorchEncoder:
    """An `Encoder` that knows its identity and where it was found."""

    backend = "torch"

    def __init__(self, encoder: "Encoder", source: str):
        self.encoder, self.source = encoder, source
        self.identity = identify(encoder)

    def encode(
        self,
        images: Sequence[ImageLike],
        *,
        batch_size: int = 64,
        progress: bool = False,
        skipped: SkippedImages | None = None,
    ) -> np.ndarray:
        """As `Encoder.encode`."""
        return self.encoder.encode(images, batch_size=batch_size, progress=progress, skipped=skipped)


def open_encoder(source: str | Path) -> EncodesPhotos:
    """An encoder folder or name -> PyTorch; an exported folder or .onnx file -> ONNX Runtime, without importing torch.

    Raises:
        ArtifactError: there is no encoder of that name, or it is damaged.
        MissingExtra: the runtime it needs is not installed.
    """
    path = Path(source)
    if is_exported(path):
        return OnnxEncoder(path)
    from ..hub.pretrained import from_pretrained

    return TorchEncoder(from_pretrained(source), str(path.resolve()) if path.exists() else str(source))


def identify(encoder: "Encoder") -> EncoderIdentity:
    """Identity of a PyTorch encoder, its fingerprint computed now."""
    from ..hub.fingerprint import fingerprint
    from ..hub.identity import encoder_id

    known = encoder_id(encoder)
    return EncoderIdentity(
        known.name,
        known.architecture,
        encoder.num_features,
        encoder.preprocessing,
        known.weights_sha256,
        fingerprint(encoder),
    )
