"""What may be asked, as pydantic models: they check requests, and the API's description is made from them."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...hub.web import Refusal
from .limits import Limits

LIMITS = Limits()
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Name = Annotated[str, Field(max_length=4096)]
Date = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]

Asked = TypeVar("Asked", bound=BaseModel)


class Where(BaseModel):
    """Which photos are meant."""

    model_config = ConfigDict(extra="forbid")

    index: list[Name] = Field(
        default_factory=list, max_length=100, description="Names of indexes; the first one where none is named."
    )
    folder: Name | None = Field(None, description="Only photos below this folder.")
    label: Name | None = Field(None, description="Only photos of this class.")
    after: Date | None = Field(None, description="Only photos taken on this day or later, YYYY-MM-DD.")
    before: Date | None = Field(None, description="Only photos taken before this day, YYYY-MM-DD.")


class Ranked(Where):
    """Which part of a ranking is meant."""

    k: int = Field(24, ge=1, le=LIMITS.results, description="How many results.")
    offset: int = Field(0, ge=0, le=LIMITS.deepest, description="How many results to leave out first.")
    fold: float | None = Field(
        None, ge=0.5, le=1, allow_inf_nan=False, description="Cosine from which a result is a copy of a better one."
    )


class Search(Ranked):
    """A search by exactly one of photo, id, query and vector."""

    photo: str | None = Field(None, description="Base64 of an image file.")
    id: int | None = Field(None, ge=0, lt=2**63, description="A photo of an index: of `of`, or of the first in index.")
    of: Name | None = Field(None, description="The index that `id` is of.")
    query: str | None = Field(None, description="What an earlier answer gave as `query`, to go on in its ranking.")
    vector: list[Annotated[float, Field(allow_inf_nan=False)]] | None = Field(
        None, max_length=2**16, description="A vector of the index's encoder, of any length but zero."
    )
    box: tuple[Share, Share, Share, Share] | None = Field(
        None, description="A region of the photo: left, top, width and height, each a share of its side."
    )

    @model_validator(mode="after")
    def _one_question(self) -> "Search":
        asked = [name for name in ("photo", "id", "query", "vector") if getattr(self, name) is not None]
        if len(asked) != 1:
            raise ValueError(f"give one of photo, id, query and vector, not {' and '.join(asked) or 'none'}")
        if self.box is not None and asked[0] not in ("photo", "id"):
            raise ValueError("a box needs a photo or an id")
        return self


class SearchOptions(Ranked):
    """What may stand in the address when the body is the photo itself."""

    box: str | None = Field(None, max_length=200, description="left,top,width,height, each a share of its side.")

    def with_photo(self, photo: str) -> Search:
        """The search that they belong to.

        Raises:
            Refusal: 400, the box is none.
        """
        values = self.model_dump(exclude={"box"}) | {"photo": photo}
        if self.box is not None:
            values["box"] = self.box.split(",")
        return _checked(Search, values)


class Browse(Where):
    """A look at the photos of an index in the order of their ids, or shuffled."""

    k: int = Field(60, ge=1, le=LIMITS.results, description="How many photos.")
    offset: int = Field(0, ge=0, lt=2**63, description="How many photos to leave out first.")
    seed: int | None = Field(None, ge=0, lt=2**32, description="Shuffle by this number.")


class Embed(BaseModel):
    """Photos to be turned into vectors."""

    model_config = ConfigDict(extra="forbid")

    photos: list[str] = Field(min_length=1, max_length=LIMITS.photos, description="Base64 of image files.")
    index: Name | None = Field(None, description="Whose encoder; the first index's where none is named.")


class EmbedOptions(BaseModel):
    """What may stand in the address when the body is the photo itself."""

    model_config = ConfigDict(extra="forbid")

    index: Name | None = Field(None, description="Whose encoder; the first index's where none is named.")


def from_json(model: type[Asked], body: bytes) -> Asked:
    """A request from a JSON body.

    Raises:
        Refusal: 400, it is none.
    """
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise Refusal(400, _sentence(error)) from None


def from_address(model: type[Asked], parameters: Any) -> Asked:
    """A request from an address's parameters (starlette's QueryParams); `index` may stand there several times.

    Raises:
        Refusal: 400, they are none.
    """
    values: dict[str, Any] = {name: parameters[name] for name in parameters if parameters[name] != ""}
    if issubclass(model, Where) and "index" in values:
        values["index"] = parameters.getlist("index")
    return _checked(model, values)


def _checked(model: type[Asked], values: dict[str, Any]) -> Asked:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise Refusal(400, _sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    """The first thing that is wrong."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])[:100]
    what = str(first["msg"]).removeprefix("Value error, ")[:300]
    return f"{where}: {what}." if where else f"{what}."
