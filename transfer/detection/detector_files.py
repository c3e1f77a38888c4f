"""The two files of a trained detector, whichever engine trained it: detector.safetensors and detector.json."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import nn

from ...hub.errors import ArtifactError, UsageError
from ...hub.files.atomic import write_bytes, write_json
from ...hub.files.json_files import Place, read_json
from ...hub.preprocessing import Preprocessing
from ...hub.weights import UNREADABLE, load_strictly
from .detector import EngineName
from .settings import DetectionSettings, check_settings

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
    from ...hub.schemas.record import check
    from .detector_schema import DetectorFile

    place = Place(folder / ABOUT, "train the detector again with this goodviews")
    try:
        content = read_json(place)
    except FileNotFoundError:
        raise ArtifactError(f"{place.path} is missing; give the folder of a finished detection run.") from None
    found = check(DetectorFile, content, place)
    if "MODEL.WEIGHTS" in (found.configuration or {}):
        raise place.refuse("configuration.MODEL.WEIGHTS", "a file", "absent")
    if (found.configuration is None) != (found.engine == "torchvision"):
        raise place.refuse("configuration", found.configuration, "there for detectron2 and absent for torchvision")
    about = _to_about({name: content[name] for name in DetectorFile.model_fields if name in content})
    try:
        check_settings(about.settings)
    except UsageError as error:
        raise ArtifactError(f"{place.path} has settings that cannot be ({error}); {place.remedy}.") from None
    return about


def read_detector(folder: Path, network: nn.Module) -> None:
    """Loads the weights into a network that was built from detector.json.

    Raises:
        ArtifactError: detector.safetensors is missing, damaged or of another network.
    """
    path = folder / WEIGHTS
    try:
        read_weights(network, path)
    except UNREADABLE as error:
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
    values["preprocessing"] = Preprocessing(**_known(Preprocessing, values["preprocessing"]))
    values["model_args"] = content.get("model_args")  # as timm gets them from an encoder's config.json
    return About(**{**values, "settings": DetectionSettings(**_known(DetectionSettings, values["settings"]))})


def _known(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    """The fields that this version knows."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in values.items() if name in names}


def _with_tuples(value: Any) -> Any:
    """JSON has lists where our values have tuples."""
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    return tuple(_with_tuples(item) for item in value) if isinstance(value, list) else value
