"""The bytes of a backbone: written, hashed and read back with every difference refused."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from .errors import ArtifactError


def weights_bytes(backbone: nn.Module) -> bytes:
    """model.safetensors: equal tensors, equal bytes, on any device.

    It has one metadata key: with two or more, files of equal tensors differ from run to run.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in backbone.state_dict().items()}
    return to_bytes(weights, metadata={"format": "pt"})


def weights_sha256(backbone: nn.Module) -> str:
    """SHA-256 of `weights_bytes`."""
    return hashlib.sha256(weights_bytes(backbone)).hexdigest()


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    try:
        return load_file(path)
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing; the folder is incomplete, copy it again.") from None
    except SafetensorError as error:
        raise ArtifactError(f"{path} is not a complete safetensors file ({error}); copy it again.") from None


def load_strictly(module: nn.Module, weights: Mapping[str, Tensor], *, source: Path | str) -> None:
    """`load_state_dict` with every difference refused in one sentence.

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
    module.load_state_dict(weights, strict=True)
