"""report.json of a measurement, in today's format and in the first."""

from typing import Annotated, Any

from pydantic import Field

from .record import Record, Text, Word


class ProtocolPart(Record):
    """How it was measured."""

    name: Word
    version: Annotated[int, Field(ge=1, le=10**6)]
    settings: dict[str, Any]


class EncoderPart(Record):
    """What was measured."""

    name: Word
    architecture: Word
    weights_sha256: Word
    recipe: Text | None = None


class DatasetPart(Record):
    """What it was measured on; what else a task says of its data is anything that JSON holds."""

    name: Word = "data"
    digest: Text | None = None


class EvidencePart(Record):
    """How the number came about."""

    command: Text
    version: Text
    commit: Text | None
    hardware: Text
    libraries: dict[str, Text]
    started: Text
    seconds: Annotated[float, Field(ge=0, le=1e10)]


class Common(Record):
    """What both formats have."""

    encoder: EncoderPart
    dataset: DatasetPart
    metrics: Annotated[dict[str, float], Field(min_length=1)]
    primary: Word
    engine: Word
    seed: Annotated[int, Field(ge=-(2**63), le=2**63)]
    evidence: EvidencePart
    higher_is_better: bool = True
    details: dict[str, Any] = Field(default_factory=dict)


class ReportFile(Common):
    """The file."""

    protocol: ProtocolPart
    description: dict[str, Any]


class OldReport(Common):
    """The file in format 1: the protocol is one dictionary of settings and sentences."""

    task: Word
    protocol: dict[str, Any]
