"""recipe.json and checkpoint.pt of a RUN folder, as far as a run is continued by them."""

from typing import Annotated, Any, Literal

from pydantic import Field

from ...hub.schemas.record import Count, Record, Text, Word


class RecipeFile(Record):
    """What must be the same for a run to be continued; older runs lack some of it."""

    recipe: dict[str, Any]
    data: dict[str, Any]
    seed: Annotated[int, Field(ge=-(2**63), le=2**63)]
    precision: Word
    accumulate: Annotated[int, Field(ge=1, le=10**6)] = 1
    compile: bool = False
    parent: Text | None = None
    processes: Annotated[int, Field(ge=1, le=10**6)] | None = None
    licence: Word | None = None
    lengthened_from: list[Count] = Field(default_factory=list)
    resumed: list[dict[str, Any]] = Field(default_factory=list)


class CheckpointFile(Record):
    """checkpoint.pt; what is in its parts is checked by those who take it back."""

    format: Literal[2]
    step: Count
    query: dict[str, Any]
    optimizer: dict[str, Any]
    scaler: dict[str, Any] | None
    monitor: dict[str, Any]
