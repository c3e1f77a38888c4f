"""An encoder folder becomes an encoder again, and is checked: whole, unchanged, embedding as when it was written."""

from dataclasses import fields
from pathlib import Path

import timm

from .backbone import empty_backbone
from .encoder import Encoder, Origin, Recorded
from .encoder_folder import FORMAT, WEIGHTS, read_config, save
from .errors import ArtifactError
from .fingerprint import TOLERANCE, fingerprint, fingerprint_distance
from .identity import sha256
from .preprocessing import Preprocessing
from .reports.report import load_report
from .weights import is_half, load_strictly, read_weights, verified

__all__ = ["FORMAT", "WEIGHTS", "check", "load", "read_config", "save"]


def load(folder: Path | str, *, verify: bool = True) -> Encoder:
    """Read an encoder folder; every tensor must be there, none more, all of the right shape.

    Args:
        verify: hash the weights, beside reading them, and compare with what config.json records.

    Raises:
        ArtifactError: the folder is missing, damaged or another tool's, or its weights are other ones.
    """
    folder = Path(folder)
    config = read_config(folder)
    cfg = config["pretrained_cfg"]
    if not timm.is_model(config["architecture"]):
        raise ArtifactError(
            f"{folder}/config.json names the architecture {config['architecture']}, unknown to this timm."
        )
    with verified(folder / WEIGHTS, config["goodviews"]["weights_sha256"] if verify else None):
        backbone = empty_backbone(
            config["architecture"], config.get("model_args", {}), global_pool=config.get("global_pool")
        )
        weights = read_weights(folder / WEIGHTS)
        load_strictly(backbone, weights, source=folder / WEIGHTS)
    ours = config["goodviews"]
    preprocessing = Preprocessing(
        input_px=int(cfg["input_size"][-1]),
        crop_pct=float(cfg["crop_pct"]),
        interpolation=cfg["interpolation"],
        mean=tuple(cfg["mean"]),
        std=tuple(cfg["std"]),
        values=tuple(ours["values"]) if ours.get("values") else None,
    )
    known = {field.name for field in fields(Origin)}
    origin = Origin(**{key: value for key, value in ours.items() if key in known})
    recorded = Recorded(ours["weights_sha256"], ours["fingerprint"])
    return Encoder(backbone, preprocessing, origin, recorded=recorded, half=is_half(weights))


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
    distance = fingerprint_distance(fingerprint(load(folder, verify=False)), ours["fingerprint"])
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
