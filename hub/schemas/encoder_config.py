"""config.json of an encoder folder."""

from typing import Annotated, Any, Literal

from pydantic import Field

from .record import CropPct, Features, Mean, Pixels, Record, Sha256, Std, Text, ValueRange, Word

# How timm pools the last maps into features.
Pool = Literal["avg", "max", "avgmax", "catavgmax", "fast", "token", "map", "avgmaxc", ""]


class PretrainedCfg(Record):
    """What timm's readers need to prepare photos."""

    input_size: Annotated[list[Pixels], Field(min_length=3, max_length=3)]
    crop_pct: CropPct
    interpolation: Literal["bilinear", "bicubic"]
    mean: Mean
    std: Std


class Own(Record):
    """Our own block."""

    format: Literal[1]
    weights_sha256: Sha256
    fingerprint: Text
    name: Word = "unnamed"
    recipe: dict[str, Any] | None = None
    dataset: dict[str, Any] | None = None
    epochs: Annotated[float, Field(ge=0, le=1e9)] | None = None
    commit: Text | None = None
    parent: Text | None = None
    licence: Text | None = None
    imported: dict[str, Text] | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    values: ValueRange | None = None


class EncoderConfig(Record):
    """The file."""

    architecture: Word
    pretrained_cfg: PretrainedCfg
    goodviews: Own
    global_pool: Pool | None = None
    num_features: Features | None = None
    num_classes: Literal[0] = 0
    model_args: dict[str, Any] = Field(default_factory=dict)
