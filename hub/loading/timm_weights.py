"""timm:NAME, and folders in timm's form that others wrote: a network's name, its arguments and its weights."""

import pickle
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data.config import resolve_data_config, resolve_model_data_config
from torch import Tensor

from ..backbone import empty_backbone
from ..encoder import Encoder, Origin
from ..errors import ArtifactError, UsageError
from ..files.json_files import Place, read_json
from ..preprocessing import Preprocessing
from ..weights import load_strictly, read_weights
from .fetched import fetched


def load_timm(name: str) -> Encoder:
    if not timm.is_model_pretrained(name):
        near = ", ".join(timm.list_pretrained(f"{name.split('.')[0]}*")[:5]) or "timm:resnet50.a1_in1k"
        raise UsageError(f"timm has no pretrained weights {name}; it has {near}.")
    backbone: Any = fetched(f"timm:{name}", lambda: timm.create_model(name, pretrained=True, num_classes=0))
    cfg: dict[str, Any] = resolve_model_data_config(backbone)  # type: ignore[no-untyped-call, unused-ignore]
    preprocessing = Preprocessing(
        cfg["input_size"][-1], cfg["crop_pct"], cfg["interpolation"], tuple(cfg["mean"]), tuple(cfg["std"])
    )
    licence = backbone.pretrained_cfg.get("license")
    return Encoder(
        backbone,
        preprocessing,
        Origin(f"timm:{name}", licence=licence, parent=backbone.pretrained_cfg.get("hf_hub_id")),
    )


def load_timm_folder(folder: Path, *, name: str) -> Encoder:
    """The network of a folder with timm's config.json and its weights; the classifier alone is left behind.

    Args:
        name: what the encoder is called.

    Raises:
        ArtifactError: the folder is not in that form, asks for an unknown network or argument, or its weights do not
            fit.
    """
    config = _config(folder / "config.json")
    architecture = config.get("architecture")
    if not isinstance(architecture, str) or not timm.is_model(architecture):
        raise ArtifactError(f"{folder}/config.json names the network {architecture!r}, which this timm does not know.")
    cfg = config.get("pretrained_cfg") or config
    arguments = config.get("model_args") or {}
    if isinstance(arguments, dict):  # `empty_backbone` says what is wrong otherwise
        arguments = {key: value for key, value in arguments.items() if key not in ("num_classes", "global_pool")}
    try:
        pool = None if config.get("global_pool") is None else str(config["global_pool"])
        backbone: Any = empty_backbone(architecture, arguments, global_pool=pool)
        values: dict[str, Any] = resolve_data_config({}, pretrained_cfg=cfg)  # type: ignore[no-untyped-call, unused-ignore]
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError, AssertionError) as error:
        raise ArtifactError(f"{folder}/config.json describes no network that timm can build ({error}).") from None
    weights = _weights(folder)
    classifier = cfg.get("classifier") or backbone.pretrained_cfg.get("classifier") or "fc"
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    own = set(backbone.state_dict())
    backbone_weights = {
        key: value for key, value in weights.items() if key in own or key.rpartition(".")[0] not in heads
    }
    load_strictly(backbone, backbone_weights, source=folder)
    size, mean, std = values["input_size"][-1], tuple(values["mean"]), tuple(values["std"])
    preprocessing = Preprocessing(size, values["crop_pct"], values["interpolation"], mean, std)
    return Encoder(backbone, preprocessing, Origin(name, licence=cfg.get("license"), parent=name))


def _config(path: Path) -> dict[str, Any]:
    from ..schemas.record import check
    from ..schemas.timm_config import TimmConfig

    place = Place(path, "the folder is damaged or not an encoder")
    try:
        config = read_json(place)
    except FileNotFoundError:
        raise ArtifactError(f"{path.parent} holds no encoder: config.json is missing.") from None
    check(TimmConfig, config, place)
    return config


def _weights(folder: Path) -> dict[str, Tensor]:
    """model.safetensors, else pytorch_model.bin without running anything that is in it."""
    pickled = folder / "pytorch_model.bin"
    if (folder / "model.safetensors").is_file() or not pickled.is_file():
        return read_weights(folder / "model.safetensors")
    try:
        weights = torch.load(pickled, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ArtifactError(f"{pickled} is not a file of tensors alone ({reason}).") from None
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ArtifactError(f"{pickled} is not a file of tensors alone.")
    return weights
