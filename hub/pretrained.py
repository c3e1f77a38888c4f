"""from_pretrained: one name for an encoder, wherever it lives."""

import re
import urllib.error
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from timm.data.config import resolve_model_data_config
from torch import Tensor

from .artifact import load
from .backbone import build_backbone
from .catalogue.entries import is_entry
from .catalogue.open_entry import open_catalogue_entry
from .encoder import Encoder, Origin
from .errors import ArtifactError, UsageError
from .importers.import_file import read_encoder
from .preprocessing import Preprocessing
from .weights import load_strictly

SOURCES = (
    "a folder written by goodviews (RUN/encoder), "
    "'torchvision:resnet50' (or 'torchvision:resnet50.IMAGENET1K_V1'), 'timm:resnet50.a1_in1k', "
    "a name of `goodviews hub list`, a checkpoint file that `goodviews hub import` reads, or 'random:resnet50-224px@0'"
)


def from_pretrained(name: str | Path, *, device: str | torch.device = "cpu") -> Encoder:
    """Load an encoder, in evaluation mode.

    Args:
        name: a folder; "torchvision:ARCHITECTURE[.WEIGHTS]"; "timm:ARCHITECTURE.TAG"; a name of the catalogue, which
            is downloaded and imported once; a checkpoint of another program, imported on the fly; or
            "random:ARCHITECTURE[-wWIDTH][-SIZEpx][@SEED]", the untrained network that every result should be compared
            with; WIDTH as `build_backbone` takes it.
        device: where its weights go.

    Raises:
        ArtifactError: the folder is no encoder, or the weights cannot be had.
        UsageError: the name has no meaning.
    """
    text = str(name)
    scheme, _, rest = text.partition(":")
    is_local = isinstance(name, Path) or Path(text).exists()
    if Path(text).is_file():
        encoder = read_encoder(Path(text))
    elif is_local:
        encoder = load(Path(text))
    elif scheme == "torchvision" and rest:
        encoder = _from_torchvision(rest)
    elif scheme == "timm" and rest:
        encoder = _from_timm(rest)
    elif scheme == "random" and rest:
        encoder = _random(rest)
    elif is_entry(text):
        encoder = load(open_catalogue_entry(text))
    else:
        raise ArtifactError(f"There is no encoder {text}: it is no folder here. Give {SOURCES}.")
    encoder.source = str(Path(text).resolve()) if is_local else text
    return encoder.to(device)


def _from_torchvision(name: str) -> Encoder:
    """torchvision's and timm's ResNets have the same tensor names; the classifier `fc` alone is left behind."""
    architecture, _, tag = name.partition(".")
    try:
        weights = torchvision.models.get_model_weights(architecture)[tag or "DEFAULT"]
    except (ValueError, KeyError):
        raise UsageError(f"torchvision has no weights {name}; give e.g. torchvision:resnet50.IMAGENET1K_V2.") from None
    state = _download(
        f"torchvision:{name}", lambda: weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    )
    without_head: dict[str, Tensor] = {
        key: value for key, value in state.items() if key not in {"fc.weight", "fc.bias"}
    }
    backbone = build_backbone(architecture)
    load_strictly(backbone, without_head, source=f"torchvision:{name}")
    transforms: Any = weights.transforms()
    crop_px, resize_px = transforms.crop_size[0], transforms.resize_size[0]
    preprocessing = Preprocessing(
        crop_px, crop_px / resize_px, transforms.interpolation.value, tuple(transforms.mean), tuple(transforms.std)
    )
    return Encoder(backbone, preprocessing, Origin(f"torchvision:{architecture}.{weights.name}", parent=weights.url))


def _from_timm(name: str) -> Encoder:
    if not timm.is_model_pretrained(name):
        near = ", ".join(timm.list_pretrained(f"{name.split('.')[0]}*")[:5]) or "timm:resnet50.a1_in1k"
        raise UsageError(f"timm has no pretrained weights {name}; it has {near}.")
    backbone = _download(f"timm:{name}", lambda: timm.create_model(name, pretrained=True, num_classes=0))
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


def _random(name: str) -> Encoder:
    """The size belongs to the name: a baseline must see images as large as the encoder it is compared with."""
    found = re.fullmatch(r"([^@]+?)(?:-w(\d+(?:\.\d+)?))?(?:-(\d+)px)?(?:@(\d+))?", name)
    if found is None:
        raise UsageError(f"random:{name} is not of the form random:ARCHITECTURE[-wWIDTH][-SIZEpx][@SEED].")
    architecture, width, px, seed = found.groups()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seed or 0))
        backbone = build_backbone(architecture, width=float(width or 1))
    return Encoder(backbone, Preprocessing(input_px=int(px or 224)), Origin(f"random:{name}"))


def _download(name: str, fetch: Any) -> Any:
    """Call `fetch`; what goes wrong on the way becomes one sentence."""
    try:
        return fetch()
    except (urllib.error.URLError, OSError) as error:
        raise ArtifactError(
            f"The weights {name} could not be fetched ({error}). Check the connection, or give a folder."
        ) from error
    except RuntimeError as error:
        raise ArtifactError(
            f"The weights {name} arrived damaged or do not fit ({error}). Delete the cached file and retry."
        ) from error
