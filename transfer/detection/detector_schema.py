"""detector.json of a trained detector."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from ...hub.schemas.record import CropPct, Mean, Pixels, Record, Std, ValueRange, Word

Number = Annotated[int, Field(ge=0, le=10**8)]
Share = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[int, Field(ge=1, le=2**15)]
Many = Annotated[int, Field(ge=1, le=10**5)]
Sizes = Annotated[list[Size], Field(min_length=1, max_length=100)]
Pair = Annotated[list[Many], Field(min_length=2, max_length=2)]
# What detectron2 may be told: its settings, but no file of weights to load.
Key = Annotated[str, StringConstraints(pattern=r"^(VERSION|(MODEL|INPUT|TEST|SOLVER|DATALOADER)\.[A-Z0-9_.]+)$")]


class PreprocessingPart(Record):
    """What photos go through."""

    input_px: Pixels
    crop_pct: CropPct
    interpolation: Literal["bilinear", "bicubic"]
    mean: Mean
    std: Std
    values: ValueRange | None = None


class SettingsPart(Record):
    """The task's settings, as far as they decide the network and what it finds; all have a usual value."""

    trunk: Literal["c4", "fpn"] = "c4"
    masks: bool = False
    box_head: Literal["res5", "2fc", "4conv1fc"] = "res5"
    head_norm: bool = False
    iterations: Number = 0
    lr_steps: list[Number] = Field(default_factory=list)
    warmup_iterations: Number = 0
    batch_size: Many = 1
    lr: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    momentum: Share = 0.0
    weight_decay: Share = 0.0
    precise_bn_iterations: Number = 0
    short_sides_px: Sizes = Field(default_factory=list)
    test_short_side_px: Size = 1
    long_side_px: Size = 1
    flip: Share = 0.0
    anchors_px: Sizes = Field(default_factory=list)
    anchor_ratios: Annotated[list[Annotated[float, Field(gt=0, le=1000)]], Field(min_length=1, max_length=100)] = Field(
        default_factory=list
    )
    rpn_samples: Many = 1
    proposals_before_nms: Pair = Field(default_factory=list)
    proposals: Pair = Field(default_factory=list)
    roi_samples: Many = 1
    roi_px: Annotated[int, Field(ge=1, le=256)] = 1
    mask_roi_px: Annotated[int, Field(ge=1, le=256)] = 1
    min_score: Share = 0.0
    nms_iou: Share = 0.0
    detections_per_photo: Many = 1


class DetectorFile(Record):
    """The file."""

    format: Literal[1]
    engine: Literal["torchvision", "detectron2"] = "torchvision"  # the first files did not name it
    architecture: Word
    classes: Annotated[list[Word], Field(min_length=1, max_length=10**5)]
    preprocessing: PreprocessingPart
    settings: SettingsPart
    model_args: dict[str, Any] | None = None
    configuration: dict[Key, Any] | None = None
