"""A trained classifier as a folder: backbone, classifier and class names in timm's form.

Three libraries read it with its classifier: `load_classifier` here, `timm.create_model("local-dir:RUN/classifier",
pretrained=True)`, and transformers' `AutoModelForImageClassification`. `from_pretrained` of the same folder is the
backbone alone, as an encoder.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...hub.errors import ArtifactError
from ...hub.files.atomic import write_bytes, write_json, write_text
from ...hub.files.json_files import Place, read_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from ...hub.encoder import Encoder
    from ...hub.identity import EncoderId
    from .classifier import Classifier
    from .schema import ClassifierConfig

FOLDER = "classifier"  # of a RUN
FORMAT = 1
CONFIG, WEIGHTS = "config.json", "model.safetensors"
CARD = """# A classifier of {count} classes

{classes}.

Fine-tuned by goodviews ({task}) from the encoder `{encoder}`. It can be read with its classifier by

```
goodviews classify FOLDER photo.jpg
timm.create_model("local-dir:FOLDER", pretrained=True)
transformers.AutoModelForImageClassification.from_pretrained("FOLDER")
```
"""


def write_classifier(
    folder: Path, encoder: Encoder, layer: nn.Linear, classes: Sequence[str], *, start: EncoderId, task: str
) -> bool:
    """Writes a folder with config.json, model.safetensors, preprocessor_config.json and README.md.

    Args:
        folder: to make; it is not there yet.
        encoder: as it was trained.
        layer: from its pooled features to a score for each class.
        classes: their names, in the order of the scores.
        start: the encoder that training started from.
        task: what trained it, for people.

    Returns:
        Whether it was written: a network whose classifier in timm is not one linear layer cannot have such a folder.
    """
    from ...hub.encoder_folder import preprocessor_config, pretrained_config
    from ...hub.weights import weights_bytes

    network = _with_classifier(encoder, layer)
    if network is None:
        return False
    content = weights_bytes(network)
    config = {
        "architecture": encoder.architecture,
        "num_classes": len(classes),
        "num_features": encoder.num_features,
        "global_pool": "avg",
        "label_names": list(classes),
        **({"model_args": encoder.model_args} if encoder.model_args else {}),
        "pretrained_cfg": {**pretrained_config(encoder), "num_classes": len(classes)},
        "goodviews_classifier": {
            "format": FORMAT,
            "task": task,
            "encoder": start.report_json(),
            "values": encoder.preprocessing.values,
            "weights_sha256": hashlib.sha256(content).hexdigest(),
        },
    }
    folder.mkdir()
    write_bytes(folder / WEIGHTS, content)
    write_json(folder / CONFIG, config)
    write_json(folder / "preprocessor_config.json", preprocessor_config(encoder.preprocessing))
    text = CARD.format(count=len(classes), classes=", ".join(classes), task=task, encoder=start.name)
    write_text(folder / "README.md", text)
    return True


def load_classifier(folder: Path | str) -> Classifier:
    """The classifier that `goodviews transfer finetune` left in its RUN, or any in timm's form with class names.

    Args:
        folder: RUN, RUN/classifier or another folder in timm's form.

    Raises:
        ArtifactError: there is no classifier, or a file is damaged.
    """
    from ...hub.loading.timm_weights import load_timm_folder
    from ...hub.weights import read_weights, verified
    from .classifier import Classifier

    folder = Path(folder)
    folder = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    config = _read_config(folder)
    recorded = config.goodviews_classifier
    with verified(folder / WEIGHTS, None if recorded is None else recorded.weights_sha256):
        encoder = load_timm_folder(folder, name=folder.resolve().name)
        weights = read_weights(folder / WEIGHTS)
    if recorded is not None and recorded.values is not None:
        low, high = recorded.values
        encoder.preprocessing = replace(encoder.preprocessing, values=(low, high))
    weight, bias = _layer(weights, config, folder)
    return Classifier(encoder, tuple(config.label_names), weight.float().numpy(), bias.float().numpy())


def _with_classifier(encoder: Encoder, layer: nn.Linear) -> nn.Module | None:
    """timm's network with the backbone's and the layer's weights, if its own classifier is such a layer."""
    import timm
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        network: Any = timm.create_model(encoder.architecture, num_classes=layer.out_features, **encoder.model_args)
    name = network.pretrained_cfg.get("classifier")
    own = network.get_submodule(name) if isinstance(name, str) else None
    weights = {**encoder.backbone.state_dict(), f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}
    if not isinstance(own, nn.Linear) or set(network.state_dict()) != set(weights):
        return None
    network.load_state_dict(weights, strict=True)
    assert isinstance(network, nn.Module)
    return network


def _read_config(folder: Path) -> ClassifierConfig:
    from ...hub.schemas.record import check
    from .schema import ClassifierConfig

    path = folder / CONFIG
    if not path.is_file():
        raise ArtifactError(
            f"{folder} holds no classifier: {CONFIG} is missing. Give the RUN of `goodviews transfer finetune`, or its "
            f"folder {FOLDER}."
        )
    place = Place(path, "give the RUN of a finished `goodviews transfer finetune`")
    content = read_json(place)
    if isinstance(content, dict) and content.get("num_classes") == 0:
        raise ArtifactError(
            f"{folder} holds an encoder, which knows no classes; `goodviews transfer finetune` makes it a classifier."
        )
    config = check(ClassifierConfig, content, place)
    if len(config.label_names) != config.num_classes:
        raise place.refuse("label_names", f"{len(config.label_names)} names", f"{config.num_classes} names")
    return config


def _layer(weights: dict[str, Tensor], config: ClassifierConfig, folder: Path) -> tuple[Tensor, Tensor]:
    """The weight (C, F) and the bias (C,) of the classifier."""
    from ...hub.weights import refuse_odd_weights

    name = config.pretrained_cfg.classifier
    wanted = {f"{name}.weight": (config.num_classes, config.num_features), f"{name}.bias": (config.num_classes,)}
    for tensor, shape in wanted.items():
        if tensor not in weights or tuple(weights[tensor].shape) != shape:
            raise ArtifactError(f"{folder / WEIGHTS} has no tensor {tensor} of shape {shape}; copy the folder again.")
    found = {tensor: weights[tensor] for tensor in wanted}
    refuse_odd_weights(found, source=folder / WEIGHTS)
    return found[f"{name}.weight"], found[f"{name}.bias"]
