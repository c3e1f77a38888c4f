"""A fine-tuned classifier in timm's form: config.json with class names, model.safetensors with the last layer."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import timm
from torch import nn

from ...hub.deep_pixels import Values
from ...hub.errors import ArtifactError
from ...hub.files.json_files import Fields, Place, read_json
from ...hub.identity import recorded_values
from ...hub.preprocessing import CROP_PCT, LARGEST_PX, MEAN, STD, Preprocessing
from ...hub.weights import load_strictly, read_weights, verified

WEIGHTS = "model.safetensors"
MOST_CLASSES = 100_000


@dataclass(frozen=True)
class Classifier:
    """A network with its last layer, what its photos go through, and what its outputs mean."""

    network: nn.Module
    architecture: str
    preprocessing: Preprocessing
    classes: list[str]


def read_classifier(folder: Path) -> Classifier:
    """Read a folder as `timm.create_model("local-dir:FOLDER", pretrained=True)` does; every tensor must be there.

    Args:
        folder: the RUN of `goodviews transfer finetune`, its classifier/, or another one in timm's form.

    Raises:
        ArtifactError: there is no classifier, or it is damaged.
    """
    folder = folder / "classifier" if (folder / "classifier").is_dir() else folder
    place = Place(folder / "config.json", "give the folder of a fine-tuned classifier in timm's form")
    try:
        config = read_json(place)
    except FileNotFoundError:
        raise ArtifactError(
            f"{folder} holds no classifier: config.json is missing; give the folder of one in timm's form."
        ) from None
    fields = Fields(config, place)
    architecture = fields.text("architecture")
    count = fields.whole("num_classes", 1, MOST_CLASSES)  # an encoder has 0
    if not timm.is_model(architecture):
        raise ArtifactError(f"{place.path} names the architecture {architecture}, unknown to this timm.")
    arguments: Any = config.get("model_args") or {}
    network = timm.create_model(architecture, num_classes=count, **arguments).eval()
    recorded = config.get("goodviews_classifier")
    digest = Fields(config, place).part("goodviews_classifier").text("weights_sha256") if recorded else None
    with verified(folder / WEIGHTS, digest):
        load_strictly(network, read_weights(folder / WEIGHTS), source=folder / WEIGHTS)
    names = config.get("label_names") or fields.part("pretrained_cfg").values.get("label_names")
    classes = [str(name) for name in names] if isinstance(names, list) else [str(i) for i in range(count)]
    if len(classes) != count:
        raise ArtifactError(f"{place.path} names {len(classes)} classes where num_classes is {count}; export it again.")
    preprocessing = replace(_preprocessing(fields.part("pretrained_cfg")), values=_values(fields))
    return Classifier(network, architecture, preprocessing, classes)


def _values(fields: Fields) -> Values | None:
    """Which values of photos of more than 8 bits are black and white, where goodviews recorded it."""
    if not fields.values.get("goodviews_classifier"):
        return None
    return recorded_values(fields.part("goodviews_classifier"))


def _preprocessing(fields: Fields) -> Preprocessing:
    size = fields.values.get("input_size", [3, 224, 224])
    px = Fields({"input_size": size[-1] if isinstance(size, list) and size else size}, fields.place, fields.prefix)
    values: dict[str, Any] = {
        "input_px": px.whole("input_size", 1, LARGEST_PX),
        "crop_pct": fields.number("crop_pct", *CROP_PCT),
        "interpolation": fields.choice("interpolation", ("bilinear", "bicubic")),
        "mean": fields.numbers("mean", 3, *MEAN),
        "std": fields.numbers("std", 3, *STD),
    }
    return Preprocessing(**values)
