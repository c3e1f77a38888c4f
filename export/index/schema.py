"""index.json and items.json of an index folder."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from ...hub.schemas.record import Count, Record, Text

PathText = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00]+$")]


class IndexFile(Record):
    """index.json; `encoder` is read by `EncoderId.from_json`."""

    kind: Literal["goodviews image index"]
    format: Literal[1]
    encoder: dict[str, Any]
    source: Text | None
    backend: Literal["torch", "onnx"]
    root: PathText
    further_roots: list[PathText] = Field(default_factory=list)


class ItemRecord(Record):
    """One image."""

    id: Count
    path: PathText
    metadata: dict[str, Count] = Field(default_factory=dict)


class ItemsFile(Record):
    """items.json."""

    next_id: Count
    items: list[ItemRecord]
