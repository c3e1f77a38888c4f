"""The bytes of a backbone: written, hashed and read back with every difference refused."""

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from .errors import ArtifactError
from .identity import sha256

# What safetensors raises for files that are damaged or made to mislead.
UNREADABLE = (SafetensorError, OSError, ValueError, LookupError, TypeError, RuntimeError, OverflowError)


def weights_bytes(backbone: nn.Module, *, half: bool = False) -> bytes:
    """model.safetensors: equal tensors, equal bytes, on any device; with `half`, floating-point ones in float16.

    It has one metadata key: with two or more, files of equal tensors differ from run to run.

    Raises:
        ArtifactError: a weight is NaN or infinite, or beyond 65,504 with `half`.
    """
    weights: dict[str, Tensor] = {}
    places = set()
    for name, tensor in backbone.state_dict().items():
        weight = tensor.detach().cpu().contiguous()
        place = weight.untyped_storage().data_ptr()
        weights[name] = weight.clone() if place in places else weight  # of a module that is used twice, two copies
        places.add(place)
    if half:
        weights = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
    refuse_odd_weights(weights, source="The encoder")
    return to_bytes(weights, metadata={"format": "pt"})


def weights_sha256(backbone: nn.Module, *, half: bool = False) -> str:
    """SHA-256 of `weights_bytes`."""
    return hashlib.sha256(weights_bytes(backbone, half=half)).hexdigest()


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    if not path.is_file():
        raise ArtifactError(f"{path} is missing; the folder is incomplete, copy it again.")
    try:
        return load_file(path)
    except UNREADABLE as error:
        raise ArtifactError(f"{path} is not a complete safetensors file ({error}); copy it again.") from None


def is_half(weights: Mapping[str, Tensor]) -> bool:
    """Whether a file holds its weights in float16."""
    return any(tensor.dtype == torch.float16 for tensor in weights.values())


@contextmanager
def verified(path: Path, recorded: str | None) -> Iterator[None]:
    """Hash a file in a thread while the block reads it; None leaves it unhashed.

    Raises:
        ArtifactError: the file is not the recorded one.
    """
    if recorded is None or not path.is_file():
        yield
        return
    with ThreadPoolExecutor(1) as thread:
        digest = thread.submit(sha256, path)
        yield
        if digest.result() != recorded:
            raise ArtifactError(
                f"{path} has sha256 {digest.result()[:12]} where {recorded[:12]} is recorded: it was changed or is "
                "damaged; copy it again."
            )


def load_strictly(module: nn.Module, weights: Mapping[str, Tensor], *, source: Path | str) -> None:
    """`load_state_dict` with every difference refused in one sentence.

    A module on the meta device, which has shapes and no memory, is given copies of the weights in its own types.

    Raises:
        ArtifactError: a tensor is missing, unknown or of another shape.
    """
    own = module.state_dict()
    missing = [name for name in own if name not in weights]
    unknown = [name for name in weights if name not in own]
    reshaped = [name for name in own if name in weights and own[name].shape != weights[name].shape]
    for names, what in ((missing, "lacks"), (unknown, "has the unknown"), (reshaped, "has another shape of")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ArtifactError(f"{source} {what} tensor {names[0]}{more}; it is not the weights of this architecture.")
    refuse_odd_weights(weights, source=source)
    if any(tensor.is_meta for tensor in own.values()):
        # Copies: what a safetensors file gives lies in the file, and would change with it.
        copies = {name: tensor.to(own[name].dtype, copy=True) for name, tensor in weights.items()}
        module.load_state_dict(copies, strict=True, assign=True)
    else:
        module.load_state_dict(weights, strict=True)


def refuse_odd_weights(weights: Mapping[str, Tensor], *, source: Path | str) -> None:
    """Refuse NaN and infinity.

    Raises:
        ArtifactError: a tensor holds one.
    """
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not _is_finite(tensor):
            raise ArtifactError(f"{source} holds NaN or infinity in tensor {name}; its training had failed.")


def _is_finite(tensor: Tensor) -> bool:
    """A sum is read once and keeps NaN and infinity; only one that is odd itself, as by overflow, is looked into."""
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())
