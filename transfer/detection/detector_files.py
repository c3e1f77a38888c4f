"""The two files of a trained detector, whichever engine trained it: detector.safetensors and detector.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import nn

from ...hub.atomic import write_bytes, write_json
from ...hub.errors import ArtifactError
from ...hub.preprocessing import Preprocessing
from ...hub.weights import load_strictly
from .detector import EngineName
from .settings import DetectionSettings

FORMAT = 1
WEIGHTS, ABOUT = "detector.safetensors", "detector.json"


@dataclass(frozen=True)
class About:
    """The content of detector.json."""

    engine: EngineName
    architecture: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    settings: DetectionSettings
    model_args: dict[str, Any] | None = None  # torchvision: what timm builds the backbone from, beside its name
    configuration: dict[str, Any] | None = None  # detectron2: what the network is built from


def write_detector(folder: Path, network: nn.Module, about: About) -> Path:
    """Writes the two files into an existing folder."""
    write_weights(network, folder / WEIGHTS)
    settings = {field.name: getattr(about.settings, field.name) for field in fields(DetectionSettings)}
    content = {"format": FORMAT, **asdict(about), "settings": settings}
    write_json(folder / ABOUT, {name: value for name, value in content.items() if value is not None})
    return folder


def read_about(folder: Path) -> About:
    """Reads detector.json, with tuples for lists.

    Raises:
        ArtifactError: it is missing, damaged or not ours.
    """
    path = folder / ABOUT
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing; give the folder of a finished detection run.") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ArtifactError(f"{path} is not JSON; the folder is damaged.") from None
    try:
        if content["format"] == FORMAT:
            return _to_about(content)
    except (KeyError, TypeError):  # not an object, or one with other fields
        pass
    raise ArtifactError(
        f"{path} was not written by this goodviews (format {FORMAT} expected); train the detector again."
    )


def read_detector(folder: Path, network: nn.Module) -> None:
    """Loads the weights into a network that was built from detector.json.

    Raises:
        ArtifactError: detector.safetensors is missing, damaged or of another network.
    """
    path = folder / WEIGHTS
    try:
        read_weights(network, path)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{path} is missing or damaged ({error}); train the detector again.") from None


def write_weights(network: nn.Module, path: Path) -> None:
    """Writes every tensor of a network, on whichever device it is, as safetensors."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_bytes(path, to_bytes(tensors, metadata={"format": "pt"}))


def read_weights(network: nn.Module, path: Path) -> None:
    """Loads what `write_weights` wrote into a network of the same tensors."""
    load_strictly(network, load_file(path), source=path)


def _to_about(content: dict[str, Any]) -> About:
    values = {"engine": "torchvision", **_with_tuples(content)}  # the first files did not name it
    del values["format"]
    values["preprocessing"] = Preprocessing(**values["preprocessing"])
    values["model_args"] = content.get("model_args")  # as timm gets them from an encoder's config.json
    return About(**{**values, "settings": DetectionSettings(**values["settings"])})


def _with_tuples(value: Any) -> Any:
    """JSON has lists where our values have tuples."""
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    return tuple(_with_tuples(item) for item in value) if isinstance(value, list) else value
