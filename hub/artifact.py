"""The encoder folder: config.json, model.safetensors and preprocessor_config.json, read alike by goodviews, timm and
transformers."""

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import timm

from .atomic import new_folder, write_bytes, write_json, write_text
from .backbone import rebuild_backbone
from .card import card
from .encoder import Encoder, Origin, Recorded
from .errors import ArtifactError
from .fingerprint import TOLERANCE, fingerprint, fingerprint_distance
from .identity import sha256
from .preprocessing import Preprocessing
from .report import load_report
from .weights import load_strictly, read_weights, weights_bytes

FORMAT = 1
WEIGHTS = "model.safetensors"


def save(encoder: Encoder, folder: Path | str, *, overwrite: bool = False) -> Path:
    """Write an encoder folder, whole or not at all.

    Args:
        encoder: moved to the CPU in a copy of its weights; itself unchanged.
        folder: the folder to make.
        overwrite: replace a folder that exists.

    Raises:
        OutputExists: the folder exists and `overwrite` is off.
        GoodviewsError: the disk refuses.
    """
    folder = Path(folder)
    weights = weights_bytes(encoder.backbone)
    with new_folder(folder, overwrite) as partial:
        write_bytes(partial / WEIGHTS, weights)
        config = _config(encoder, weights_sha256=hashlib.sha256(weights).hexdigest())
        write_json(partial / "config.json", config)
        write_json(partial / "preprocessor_config.json", _preprocessor_config(encoder.preprocessing))
        write_text(partial / "README.md", card(config))
    return folder


def load(folder: Path | str) -> Encoder:
    """Read an encoder folder; every tensor must be there, none more, all of the right shape.

    Raises:
        ArtifactError: the folder is missing, damaged or another tool's.
    """
    folder = Path(folder)
    config = read_config(folder)
    cfg = config["pretrained_cfg"]
    if not timm.is_model(config["architecture"]):
        raise ArtifactError(
            f"{folder}/config.json names the architecture {config['architecture']}, unknown to this timm."
        )
    backbone = rebuild_backbone(
        config["architecture"], config.get("model_args", {}), global_pool=config.get("global_pool", "avg")
    )
    load_strictly(backbone, read_weights(folder / WEIGHTS), source=folder / WEIGHTS)
    preprocessing = Preprocessing(
        input_px=int(cfg["input_size"][-1]),
        crop_pct=float(cfg["crop_pct"]),
        interpolation=cfg["interpolation"],
        mean=tuple(cfg["mean"]),
        std=tuple(cfg["std"]),
    )
    ours = config["goodviews"]
    known = {field.name for field in fields(Origin)}
    origin = Origin(**{key: value for key, value in ours.items() if key in known})
    return Encoder(backbone, preprocessing, origin, recorded=Recorded(ours["weights_sha256"], ours["fingerprint"]))


def check(folder: Path | str) -> list[str]:
    """Problems of an encoder folder, a sentence each; empty when it is whole and embeds as when it was written.

    Raises:
        ArtifactError: there is no encoder folder to check, or it cannot be loaded at all.
    """
    folder = Path(folder)
    ours = read_config(folder)["goodviews"]
    problems = []
    found = sha256(folder / WEIGHTS) if (folder / WEIGHTS).is_file() else "missing"
    if found != ours["weights_sha256"]:
        problems.append(
            f"{WEIGHTS} has sha256 {found[:12]}, config.json says {ours['weights_sha256'][:12]}: the file was changed."
        )
    distance = fingerprint_distance(fingerprint(load(folder)), ours["fingerprint"])
    if not distance <= TOLERANCE:
        problems.append(
            f"The test image embeds {distance:.3g} away from the fingerprint in config.json (at most {TOLERANCE})."
        )
    problems.extend(
        f"reports/{file.name} is of other weights."
        for file in sorted((folder / "reports").glob("*.json"))
        if load_report(file).encoder.weights_sha256 != ours["weights_sha256"]
    )
    missing = [name for name in ("preprocessor_config.json", "README.md") if not (folder / name).is_file()]
    problems.extend(f"{name} is missing." for name in missing)
    return problems


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
    try:
        config = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ArtifactError(f"{path} is not JSON; the folder is damaged or not an encoder.") from None
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
    cfg = config.get("pretrained_cfg")
    needed = {"input_size", "crop_pct", "interpolation", "mean", "std"}
    lacking = needed - set(cfg) if isinstance(cfg, dict) else {"pretrained_cfg"}
    lacking |= {"architecture"} - set(config) | {"weights_sha256", "fingerprint"} - set(config["goodviews"])
    if lacking:
        raise ArtifactError(f"{path} lacks {', '.join(sorted(lacking))}; the folder is damaged.")
    return config


def _config(encoder: Encoder, *, weights_sha256: str) -> dict[str, Any]:
    """timm's Hub form, our own block under "goodviews"; a model_type would make transformers look for another class."""
    p, backbone = encoder.preprocessing, encoder.backbone
    own = backbone.pretrained_cfg
    pretrained_cfg = {
        "tag": "goodviews",
        "custom_load": False,
        "input_size": [3, p.input_px, p.input_px],
        "fixed_input_size": False,
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
    arguments = {"model_args": encoder.model_args} if encoder.model_args else {}
    return {
        "architecture": encoder.architecture,
        "num_classes": 0,
        "num_features": encoder.num_features,
        "global_pool": "avg",
        **arguments,
        "pretrained_cfg": pretrained_cfg,
        "goodviews": {
            "format": FORMAT,
            **_origin(encoder.origin),
            "weights_sha256": weights_sha256,
            "fingerprint": fingerprint(encoder),
        },
    }


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


def _preprocessor_config(p: Preprocessing) -> dict[str, Any]:
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
