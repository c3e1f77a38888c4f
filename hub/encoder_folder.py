"""The encoder folder on disk: config.json, model.safetensors and preprocessor_config.json, read alike by goodviews,
timm and transformers. Here it is written, and its config.json read; `artifact` makes an encoder of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .backbone import pool_of
from .errors import ArtifactError
from .files.atomic import new_folder, write_bytes, write_json, write_text
from .files.json_files import Place, read_json
from .fingerprint import fingerprint, is_fingerprint
from .reports.card import card
from .reports.curves import LINES, curves_text, thin
from .weights import weights_bytes

if TYPE_CHECKING:
    from .encoder import Encoder, Origin
    from .preprocessing import Preprocessing

FORMAT = 1
WEIGHTS = "model.safetensors"
LONGEST_WAIT_S = 60.0  # for reports that another process attaches; a training must not end by them


def save(
    encoder: Encoder, folder: Path | str, *, overwrite: bool = False, curves: Iterable[Mapping[str, Any]] = ()
) -> Path:
    """Write an encoder folder, whole or not at all.

    Args:
        encoder: moved to the CPU in a copy of its weights; itself unchanged.
        folder: the folder to make.
        overwrite: replace a folder that exists.
        curves: lines of the training's metrics.jsonl, for the picture in its card (`write_card` draws it).

    Raises:
        OutputExists: the folder exists and `overwrite` is off.
        GoodviewsError: the disk refuses.
    """
    folder = Path(folder)
    lines = thin(curves)
    with new_folder(folder, overwrite, kind="encoder", wait_s=LONGEST_WAIT_S) as partial:
        write_encoder(encoder, partial)
        if lines:
            write_text(partial / LINES, curves_text(lines))
    return folder


def write_encoder(encoder: Encoder, folder: Path) -> None:
    """The files of an encoder folder, into a folder that is there."""
    weights = weights_bytes(encoder.backbone, half=encoder.half_weights)
    config = _config(encoder, weights_sha256=hashlib.sha256(weights).hexdigest())
    write_bytes(folder / WEIGHTS, weights)
    write_json(folder / "config.json", config)
    write_json(folder / "preprocessor_config.json", preprocessor_config(encoder.preprocessing))
    write_text(folder / "README.md", card(config))


def read_config(folder: Path | str) -> dict[str, Any]:
    """config.json of an encoder folder, checked to be ours and complete.

    Raises:
        ArtifactError: missing, not JSON, written by another tool, or lacking a field.
    """
    folder = Path(folder)
    path = folder / "config.json"
    if not path.is_file():
        raise ArtifactError(
            f"{folder} holds no encoder: config.json is missing. Give the folder that pretraining wrote (RUN/encoder)."
        )
    from .schemas.encoder_config import EncoderConfig
    from .schemas.record import check

    place = Place(path, "the folder is damaged or not an encoder")
    config = read_json(place)
    if not isinstance(config, dict) or not isinstance(config.get("goodviews"), dict):
        raise ArtifactError(
            f"{path} was not written by goodviews: it has no 'goodviews' block. "
            "A timm model loads as timm:NAME, a torchvision model as torchvision:NAME."
        )
    if config["goodviews"].get("format") != FORMAT:
        found = config["goodviews"].get("format")
        raise ArtifactError(
            f"{path} has format {found}; this goodviews reads format {FORMAT}. Install a matching version."
        )
    checked = check(EncoderConfig, config, place)
    if not is_fingerprint(checked.goodviews.fingerprint, checked.num_features):
        raise place.refuse("goodviews.fingerprint", checked.goodviews.fingerprint, "a unit vector of num_features")
    return config


def pretrained_config(encoder: Encoder) -> dict[str, Any]:
    """timm's pretrained_cfg of the backbone: its input, and where a classifier would be."""
    p, own = encoder.preprocessing, encoder.backbone.pretrained_cfg
    pretrained_cfg = {
        "tag": "goodviews",
        "custom_load": False,
        "input_size": [3, p.input_px, p.input_px],
        "fixed_input_size": bool(own.get("fixed_input_size", False)),
        "interpolation": p.interpolation,
        "crop_pct": p.crop_pct,
        "crop_mode": "center",
        "mean": list(p.mean),
        "std": list(p.std),
        "num_classes": 0,
        "pool_size": [-(-p.input_px // _stride(encoder))] * 2,
        "first_conv": own.get("first_conv", "conv1"),
        "classifier": own.get("classifier", "fc"),
    }
    if encoder.origin.licence:
        pretrained_cfg["license"] = encoder.origin.licence
    return pretrained_cfg


def _config(encoder: Encoder, *, weights_sha256: str) -> dict[str, Any]:
    """timm's Hub form, our own block under "goodviews"; a model_type would make transformers look for another class."""
    pool, model_args = pool_of(encoder.backbone), encoder.model_args | _size_of_positions(encoder)
    arguments = {"model_args": model_args} if model_args else {}
    range_ = encoder.preprocessing.values
    values = {} if range_ is None else {"values": list(range_)}
    return {
        "architecture": encoder.architecture,
        "num_classes": 0,
        "num_features": encoder.num_features,
        **({} if pool is None else {"global_pool": pool}),
        **arguments,
        "pretrained_cfg": pretrained_config(encoder),
        "goodviews": {
            "format": FORMAT,
            **_origin(encoder.origin),
            **values,
            "weights_sha256": weights_sha256,
            "fingerprint": fingerprint(encoder),
        },
    }


def _size_of_positions(encoder: Encoder) -> dict[str, Any]:
    """timm builds position embeddings for the size that it reads here; a network that takes others says its own."""
    own: dict[str, Any] = encoder.backbone.pretrained_cfg
    px = own.get("input_size", (3, 0))[-1]
    return {"img_size": px} if own.get("fixed_input_size") and px != encoder.preprocessing.input_px else {}


def _origin(origin: Origin) -> dict[str, Any]:
    """Only an imported encoder's folder speaks of a file."""
    recorded = asdict(origin)
    if origin.imported is None:
        del recorded["imported"]
    return recorded


def _stride(encoder: Encoder) -> int:
    """By which the last maps are smaller than the input: 32, or 8 with the stem for photos of 32 px."""
    stages: Any = getattr(encoder.backbone, "feature_info", [{"reduction": 32}])
    return int(stages[-1]["reduction"])


def preprocessor_config(p: Preprocessing) -> dict[str, Any]:
    """transformers takes its timm processor from config.json; readers without one (transformers.js) find plain keys."""
    return {
        "image_processor_type": "TimmWrapperImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": int(p.input_px / p.crop_pct)},
        "resample": {"bilinear": 2, "bicubic": 3}[p.interpolation],  # Pillow's numbers
        "do_center_crop": True,
        "crop_size": {"height": p.input_px, "width": p.input_px},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(p.mean),
        "image_std": list(p.std),
    }
