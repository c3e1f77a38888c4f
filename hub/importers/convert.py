"""The way back: an encoder folder becomes a file that other programs read; it is read again and compared."""

import io
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor

from ..artifact import load
from ..encoder import Encoder
from ..errors import ArtifactError, UsageError
from ..files.atomic import write_bytes
from ..files.overwrite import refuse_file
from .architecture import read_architecture
from .detectron2_names import detectron2_name
from .read_file import read_file
from .sort_tensors import sort_tensors

_AUTHOR = "goodviews"  # any name but "Caffe2" keeps detectron2 from renaming


@dataclass(frozen=True)
class Target:
    """A kind of file, as `--to` names it.

    Args:
        suffixes: that its readers go by; the first is the usual one.
        write: tensors and the architecture's name -> the file's bytes.
        read_back: the format by which the importer reads it.
    """

    suffixes: tuple[str, ...]
    write: Callable[[dict[str, Tensor], str, str], bytes]
    read_back: str


def convert(folder: Path, to: str, out: Path, *, overwrite: bool = False) -> Path:
    """Write the encoder of `folder` as a file of the kind `to`, a name in TARGETS.

    Raises:
        UsageError: the kind is unknown, the file's name has another suffix, or the encoder is no ResNet.
        OutputExists: the file exists and `overwrite` is off.
        ArtifactError: the folder is no encoder.
    """
    if to not in TARGETS:
        raise UsageError(f"There is no format {to} to convert to; give one of {', '.join(TARGETS)}.")
    target = TARGETS[to]
    if out.suffix not in target.suffixes:
        raise UsageError(f"{out} must end with {' or '.join(target.suffixes)}, by which readers of {to} files go.")
    refuse_file(out, overwrite, inputs=[folder])
    encoder = load(folder)
    weights = {name: tensor.contiguous() for name, tensor in encoder.backbone.state_dict().items()}
    _refuse_other_networks(encoder, weights, to)
    content = target.write(weights, encoder.architecture, out.suffix)
    _read_again(content, weights, target, out)
    return write_bytes(out, content)


def detectron2_settings(encoder: Encoder) -> list[str]:
    """Lines for detectron2's configuration without which it feeds the network other pixels, and says nothing."""
    p = encoder.preprocessing
    return [
        f"INPUT.FORMAT RGB  MODEL.PIXEL_MEAN {[round(255 * value, 3) for value in p.mean]}  "
        f"MODEL.PIXEL_STD {[round(255 * value, 3) for value in p.std]}  MODEL.RESNETS.STRIDE_IN_1X1 False"
    ]


def _torchvision(weights: dict[str, Tensor], architecture: str, suffix: str) -> bytes:
    return _torch_bytes(weights)


def _timm(weights: dict[str, Tensor], architecture: str, suffix: str) -> bytes:
    return to_safetensors(weights, metadata={"format": "pt"}) if suffix == ".safetensors" else _torch_bytes(weights)


def _moco(weights: dict[str, Tensor], architecture: str, suffix: str) -> bytes:
    state = {f"module.encoder_q.{name}": tensor for name, tensor in weights.items()}
    return _torch_bytes({"epoch": 0, "arch": architecture, "state_dict": state})


def _detectron2(weights: dict[str, Tensor], architecture: str, suffix: str) -> bytes:
    state: dict[str, Any] = {detectron2_name(name): tensor for name, tensor in weights.items()}
    form = {"__author__": _AUTHOR, "matching_heuristics": True}
    if suffix == ".pkl":
        arrays = {name: tensor.numpy() for name, tensor in state.items()}
        return pickle.dumps({"model": arrays, **form}, protocol=4)
    return _torch_bytes({"model": state, **form})


def _torch_bytes(content: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def _refuse_other_networks(encoder: Encoder, weights: dict[str, Tensor], to: str) -> None:
    """MoCo's and detectron2's programs build plain ResNets alone; the others know what they are given."""
    if to in ("moco", "detectron2"):
        shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        try:
            found = read_architecture(shapes, source=encoder.name).name
        except ArtifactError as error:
            raise UsageError(f"Only a plain ResNet or ResNeXt can be converted to {to}: {error}") from None
        if found != encoder.architecture:
            raise UsageError(
                f"Only a plain ResNet or ResNeXt can be converted to {to}, and {encoder.architecture} is none."
            )


def _read_again(content: bytes, weights: dict[str, Tensor], target: Target, out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"copy{out.suffix}"
        copy.write_bytes(content)
        found = sort_tensors(read_file(copy), source=out, format=target.read_back).branches[0].weights
        same = found.keys() == weights.keys() and all(torch.equal(found[name], weights[name]) for name in weights)
    assert same, f"what was to be written to {out} reads back as other weights"


TARGETS = {
    "moco": Target((".tar", ".pth"), _moco, "moco"),
    "torchvision": Target((".pth", ".pt"), _torchvision, "torchvision"),
    "timm": Target((".safetensors", ".pth", ".bin"), _timm, "timm"),
    "detectron2": Target((".pkl", ".pth"), _detectron2, "detectron2"),
}
