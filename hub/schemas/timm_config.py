"""config.json of a folder in timm's form that others wrote."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from .encoder_config import Pool
from .record import CropPct, Features, Mean, Pixels, Record, Std, Text, Word

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class TimmCfg(Record):
    """How photos are prepared, and what the classifier is called; timm has a usual value for each."""

    input_size: Annotated[list[Pixels], Field(min_length=3, max_length=3)] | None = None
    crop_pct: CropPct | None = None
    interpolation: Literal["bilinear", "bicubic"] | None = None
    mean: Mean | None = None
    std: Std | None = None
    classifier: Name | Annotated[list[Name], Field(max_length=20)] | None = None
    license: Text | None = None


class TimmConfig(TimmCfg):
    """The file; older ones hold the part `pretrained_cfg` in the whole."""

    architecture: Word
    global_pool: Pool | Literal[False] | None = None
    num_features: Features | None = None
    model_args: dict[str, Any] | None = None
    pretrained_cfg: TimmCfg | None = None
