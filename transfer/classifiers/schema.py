"""config.json of a classifier, in timm's form; the network's part is checked where the network is built."""

from typing import Annotated

from pydantic import Field

from ...hub.schemas.record import Features, Record, Sha256, ValueRange, Word


class OwnPart(Record):
    """What this project adds."""

    weights_sha256: Sha256
    values: ValueRange | None = None


class PretrainedPart(Record):
    """Of timm's pretrained_cfg what finds the classifier."""

    classifier: Word = "fc"


class ClassifierConfig(Record):
    """The file."""

    architecture: Word
    num_classes: Annotated[int, Field(ge=1, le=10**6)]
    num_features: Features
    label_names: Annotated[list[Word], Field(min_length=1, max_length=10**6)]
    pretrained_cfg: PretrainedPart
    goodviews_classifier: OwnPart | None = None
