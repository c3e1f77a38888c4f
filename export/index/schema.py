"""index.json of today's format, and index.json and items.json of the first one."""

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, StringConstraints

from ...hub.files.path_names import as_native
from ...hub.schemas.record import Count, Record

LONGEST_PATH = 4096


def _check_path(value: Any) -> str:
    """A path as `path_names` stores it; a plain string would have to be UTF-8."""
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_PATH:
        raise ValueError(f"a path of 1 to {LONGEST_PATH} characters")
    return as_native(value)


PathText = Annotated[str, PlainValidator(_check_path)]


class AboutFile(Record):
    """index.json; `encoder` is read by `EncoderId.from_json`."""

    kind: Literal["goodviews image index"]
    format: Literal[2]
    encoder: dict[str, Any]
    source: PathText | None
    backend: Literal["torch", "onnx"]
    database: Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]


class FirstAboutFile(Record):
    """index.json of the first format."""

    kind: Literal["goodviews image index"]
    format: Literal[1]
    encoder: dict[str, Any]
    source: PathText | None
    backend: Literal["torch", "onnx"]
    root: PathText
    further_roots: list[PathText] = Field(default_factory=list)


class FirstItem(Record):
    """One photo."""

    id: Count
    path: PathText
    metadata: dict[str, Count] = Field(default_factory=dict)


class FirstItemsFile(Record):
    """items.json of the first format."""

    next_id: Count
    items: list[FirstItem]
