"""A checkpoint file becomes dictionaries and tensors; nothing that it names is ever run.

PyTorch's files go through `torch.load(weights_only=True)`, with argparse.Namespace and plain numbers of NumPy's
allowed beside tensors; safetensors files hold nothing else; a plain pickle, as detectron2 writes, goes through an
unpickler that knows the few names of plain_numpy. A file that needs more is refused, and the error says which names.
"""

import argparse
import io
import pickle
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_safetensors

from ..errors import ArtifactError
from .plain_numpy import STAND_INS, PlainArray, encode

_TORCH_ZIP = b"PK\x03\x04"
_TORCH_BEFORE_1_6 = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_PICKLE = (b"\x80", b"(", b"}", b"c")
_TORCH_GLOBALS: list[Any] = [
    argparse.Namespace,
    *((made, f"{module}.{name}") for (module, name), made in STAND_INS.items()),
]
_PICKLE_GLOBALS = {**STAND_INS, ("_codecs", "encode"): encode, ("collections", "OrderedDict"): OrderedDict}
_DAMAGED = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    RuntimeError,  # also torch's, for tensors that do not fit their storage
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OverflowError,
    TypeError,
    ValueError,
)


def read_file(path: Path) -> Any:
    """The content of a checkpoint: mostly nested dictionaries with tensors at their ends.

    Raises:
        ArtifactError: there is no such file, it is damaged, of no known kind, or names something that is not allowed.
    """
    if not path.is_file():
        raise ArtifactError(f"There is no checkpoint {path}; give a .pth, .pth.tar, .ckpt, .pkl or .safetensors file.")
    with path.open("rb") as stream:
        start = stream.read(1024)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's about pickle protocols and old storages: nothing can be done
            return _read(path, start)
    except (SafetensorError, *_DAMAGED) as error:
        raise ArtifactError(f"{path} was not read, and nothing in it was run: {_why(path, error)}.") from None


def _read(path: Path, start: bytes) -> Any:
    if start.startswith(_TORCH_ZIP):
        with torch.serialization.safe_globals(_TORCH_GLOBALS):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if start.startswith(_TORCH_BEFORE_1_6):
        with torch.serialization.safe_globals(_TORCH_GLOBALS):
            return torch.load(path, map_location="cpu", weights_only=True)
    if path.suffix == ".safetensors":
        return from_safetensors(path.read_bytes())
    if b"ustar" in start[257:265]:
        raise pickle.UnpicklingError(
            "PyTorch's .tar format of 2016 cannot be read safely; save it again with a newer one"
        )
    if start.lstrip()[:1] == b"<":
        raise pickle.UnpicklingError("it is a web page, not a checkpoint; open the address in a browser and download")
    if not start.startswith(_PICKLE):
        raise pickle.UnpicklingError("it is neither PyTorch's, nor safetensors, nor a pickle")
    return tensors_of(PlainUnpickler(io.BytesIO(path.read_bytes())).load())


class PlainUnpickler(pickle.Unpickler):
    """Knows plain arrays and dictionaries; every other name in the pickle ends the reading."""

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the pickle stands for."""
        if (module, name) not in _PICKLE_GLOBALS:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not allowed")
        return _PICKLE_GLOBALS[module, name]


def tensors_of(content: Any) -> Any:
    """The same with arrays as tensors."""
    if isinstance(content, PlainArray):
        return torch.from_numpy(content.value.astype(content.value.dtype.newbyteorder("="), order="C", copy=True))
    if isinstance(content, dict):
        return {key: tensors_of(value) for key, value in content.items()}
    return content


def _why(path: Path, error: Exception) -> str:
    """One clause; torch's own message is a page that recommends to trust the file."""
    names = _names_not_allowed(path) if isinstance(error, pickle.UnpicklingError) else []
    if names:
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        return (
            f"it names {shown}, which is not allowed; where you trust it, save its tensors alone with the library that "
            "wrote it: torch.save(checkpoint['state_dict'], 'weights.pth')"
        )
    text = str(error).strip().splitlines() or [type(error).__name__]
    if "weights_only" in str(error) or "WeightsUnpickler" in str(error):
        return "its pickle asks for what is not allowed"
    return (
        f"{text[0].rstrip('.')}"
        if isinstance(error, pickle.UnpicklingError)
        else f"it is damaged ({text[0].rstrip('.')})"
    )


def _names_not_allowed(path: Path) -> list[str]:
    """What a PyTorch file would need, found without running it; nothing for other files."""
    try:
        with torch.serialization.safe_globals(_TORCH_GLOBALS):
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except _DAMAGED:
        return []
