"""An encoder as measurements see it that train nothing below its output: on PyTorch, or exported to ONNX.

The runtime of exported encoders is opened by its module's name, as the front door does it: hub imports no component.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .images import ImageLike, SkippedImages
from .preprocessing import Preprocessing
from .report import EncoderId

if TYPE_CHECKING:
    import torch

_RUNTIME = "goodviews.export.runtime"


class FrozenEncoder(Protocol):
    """`Encoder` and `ExportedEncoder`: photos in, vectors out."""

    @property
    def name(self) -> str: ...

    @property
    def num_features(self) -> int: ...

    @property
    def preprocessing(self) -> Preprocessing: ...

    @property
    def device(self) -> torch.device: ...

    def encode(
        self,
        images: Sequence[ImageLike],
        *,
        batch_size: int = ...,
        progress: bool = ...,
        workers: int = ...,
        normalise: bool = ...,
        skipped: SkippedImages | None = ...,
    ) -> np.ndarray: ...


class ExportedEncoder:
    """What `goodviews export` wrote, run by ONNX Runtime on the processor.

    Its vectors have unit length, since the file ends so; the pooled features before that cannot be had.

    Args:
        path: the exported folder, or an .onnx file of it.

    Raises:
        ArtifactError: there is no exported encoder, or it is damaged.
        MissingExtra: onnxruntime is not installed.
    """

    def __init__(self, path: Path | str):
        from .artifact import sha256

        self._runtime: Any = import_module(_RUNTIME).OnnxEncoder(path)
        known = self._runtime.identity
        # The file's own digest: a smaller variant of the same weights is another encoder.
        self.id = EncoderId(f"{known.name} ({self._runtime.path.name})", known.architecture, sha256(self._runtime.path))
        self.name = self.id.name
        self.preprocessing: Preprocessing = known.preprocessing
        self.num_features: int = known.dimension

    @property
    def device(self) -> torch.device:
        import torch

        return torch.device("cpu")

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
        """As `Encoder.encode`, but always unit rows (`normalise` must be on), and photos are read in this process
        (`workers` is for encoders on PyTorch)."""
        assert normalise, "an exported encoder has no vectors of another length"
        return self._runtime.encode(images, batch_size=batch_size, progress=progress, skipped=skipped)


def is_exported(name: str) -> bool:
    """Whether a name is that of an .onnx file or an exported folder, rather than of an encoder on PyTorch."""
    return bool(Path(name).exists() and import_module(_RUNTIME).is_exported(name))
