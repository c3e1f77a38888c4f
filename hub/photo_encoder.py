"""One door to whatever turns photos into vectors: an encoder on PyTorch, or an exported one on ONNX Runtime.

    encoder = open_encoder("runs/infomin/encoder")   # or "timm:resnet50.a1_in1k", …: an `Encoder`
    encoder = open_encoder("exported")               # an `OnnxEncoder`; torch is not imported

Whoever needs more than vectors (the network, its feature maps) opens an `Encoder` with `from_pretrained`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from .deep_pixels import Values, split_values
from .errors import UsageError
from .identity import EncoderId
from .images import ImageLike, SkippedImages
from .onnx_encoder import OnnxEncoder, is_exported
from .preprocessing import Preprocessing

if TYPE_CHECKING:
    import torch


class PhotoEncoder(Protocol):
    """Photos in, vectors out: `Encoder` and `OnnxEncoder`."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def source(self) -> str | None:
        """What `open_encoder` opens it by again; None for one that was made in memory."""
        ...

    @property
    def backend(self) -> str:
        """What runs it: "torch" or "onnx"."""
        ...

    @property
    def is_exported(self) -> bool:
        """Whether unit vectors are all it gives: neither pooled features nor the network."""
        ...

    @property
    def num_features(self) -> int:
        """Numbers in a vector."""
        ...

    @property
    def preprocessing(self) -> Preprocessing:
        """What its photos go through."""
        ...

    @property
    def device(self) -> "torch.device | str":
        """Where it computes."""
        ...

    @property
    def id(self) -> EncoderId:
        """Whose vectors it gives; equal, within rounding, for an encoder and its export."""
        ...

    def declare_values(self, values: Values | None) -> None:
        """Which values of photos of more than 8 bits are black and white; None changes nothing."""
        ...

    def report_id(self) -> EncoderId:
        """Which weights, or which exported file, a report is about; hashed now."""
        ...

    def encode(
        self,
        images: Iterable[ImageLike],
        *,
        batch_size: int = ...,
        progress: bool = ...,
        workers: int = ...,
        normalise: bool = ...,
        skipped: SkippedImages | None = ...,
    ) -> np.ndarray:
        """Photos -> (N, F) float32, unit rows unless `normalise` is off."""
        ...


def open_encoder(
    name: str | Path, *, device: "str | torch.device" = "cpu", verify: bool = True, threads: int | None = None
) -> PhotoEncoder:
    """Open an encoder for photos, whatever runs it.

    Args:
        name: an exported folder or .onnx file, or whatever `from_pretrained` takes.
        device: where it computes; an exported encoder takes "cpu" only.
        verify: hash the weights of an encoder folder and compare with what it records.
        threads: cores that an exported encoder takes, by default all.

    Raises:
        ArtifactError: there is no encoder of that name, or it is damaged.
        MissingExtra: ONNX Runtime is needed and not installed.
        UsageError: the name has no meaning, or an exported encoder is to compute elsewhere.
    """
    path, values = split_values(name)
    if not is_exported(path):
        from .pretrained import from_pretrained

        return from_pretrained(name, device=device, verify=verify)
    if str(device) != "cpu":
        raise UsageError(f"An exported encoder runs on the processor; leave --device {device} out.")
    encoder = OnnxEncoder(path, threads=threads)
    encoder.declare_values(values)
    return encoder


def open_on(name: str | Path, device: str, *, verify: bool = True) -> PhotoEncoder:
    """Open an encoder as the commands do, on the device that --device names.

    Args:
        device: "auto" for the GPU if there is one, or what torch calls a device.

    Raises:
        UsageError: the device is unsupported here; else as `open_encoder`.
    """
    return open_encoder(name, device=device_for(name, device), verify=verify)


def device_for(name: str | Path, device: str) -> str:
    """What --device means for an encoder: an exported one runs on the processor, and needs no torch to know it.

    Raises:
        UsageError: the device is unsupported here.
    """
    if is_exported(split_values(name)[0]):
        return "cpu" if device == "auto" else device
    return usable_device(device)


def usable_device(name: str) -> str:
    """The device that --device names, for torch; "auto" is the GPU if there is one.

    Raises:
        UsageError: the device is unsupported here.
    """
    import torch

    wanted = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError):  # torch built without CUDA asserts
        raise UsageError(f"--device {name} is unsupported on this machine; give cpu, or leave it out.") from None
    return wanted
