"""The base of every schema, and the bounds that several share."""

import re
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ..deep_pixels import is_range
from ..files.json_files import Place
from ..identity import MOST_FEATURES
from ..preprocessing import CROP_PCT, LARGEST_PX, MEAN, STD

Word = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Text = Annotated[str, StringConstraints(max_length=100_000)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Pixels = Annotated[int, Field(ge=1, le=LARGEST_PX)]
Count = Annotated[int, Field(ge=0, le=2**62)]
CropPct = Annotated[float, Field(ge=CROP_PCT[0], le=CROP_PCT[1])]
Mean = Annotated[list[Annotated[float, Field(ge=MEAN[0], le=MEAN[1])]], Field(min_length=3, max_length=3)]
Std = Annotated[list[Annotated[float, Field(ge=STD[0], le=STD[1])]], Field(min_length=3, max_length=3)]


def _check_range(values: list[float]) -> list[float]:
    if not is_range(values):
        raise ValueError("two numbers, the lower first")
    return values


ValueRange = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_check_range)]
Features = Annotated[int, Field(ge=1, le=MOST_FEATURES)]


class Record(BaseModel):
    """An object of a file: no value becomes another type, NaN is refused, unknown fields are left alone."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


Schema = TypeVar("Schema", bound=Record)


def check(schema: type[Schema], content: dict[str, Any], place: Place) -> Schema:
    """The content of a file as its schema.

    Raises:
        GoodviewsError: of the place, with the first field that is wrong.
    """
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "its content"
        if first["type"] == "missing":
            raise place.lacks(field) from None
        raise place.refuse(field, first["input"], _reason(first["msg"])) from None


def _reason(message: str) -> str:
    """pydantic's "Input should be a valid integer" -> "a valid integer"."""
    for begin in ("Input should be ", "String should ", "List should ", "Value error, "):
        message = message.removeprefix(begin)
    message = re.sub(r" or instance of \w+", "", message).replace("a valid dictionary", "an object")
    return message[:1].lower() + message[1:]
