"""The description of the API, made from the models that check requests and from a table of operations."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter

from ...hub.reports.provenance import version
from .bodies import JSON, NPY
from .requests import LIMITS, Browse, Embed, EmbedOptions, Search, SearchOptions

JPEG = "image/jpeg"
_PHOTO_IN_PATH = (("index", "Name of the index.", "string"), ("id", "Of the photo.", "integer"))


@dataclass(frozen=True)
class Operation:
    """One thing that may be asked.

    Attributes:
        address: the model of the parameters that may stand in the address.
        path_parameters: name, meaning and type of the parts of the path.
        body: the model of a JSON body; such an operation takes a photo's bytes too.
        answers: content types, with an example of each.
        example: a line for a shell.
    """

    method: str
    path: str
    summary: str
    text: str
    answers: dict[str, Any]
    address: type[BaseModel] | None = None
    path_parameters: tuple[tuple[str, str, str], ...] = ()
    body: type[BaseModel] | None = None
    arrays: bool = False
    example: str = ""


_MATCH = {
    "index": "photos",
    "id": 17,
    "path": "cats/tom.jpg",
    "label": "cats",
    "date": "2024-05-01",
    "thumbnail": "/thumbnails/photos/17?v=0a1b2c3d4e5f",
}
_ANSWER = {
    "query": "base64",
    "region": None,
    "matches": [{**_MATCH, "similarity": 0.9312, "copies": []}],
    "next": 24,
    "took_ms": 21.5,
}


def operations() -> list[Operation]:
    """Everything that may be asked, in the order in which people ask."""
    return [
        Operation(
            "post",
            "/search",
            "Find the photos nearest to a photo",
            "The body is a photo's bytes with options in the address, or JSON. Similarities are cosines, 1 for the "
            "same direction. To go on in a ranking, send the answer's query back with its next as offset. A box "
            "searches by a region of the photo; region in the answer says how: by the feature map under the box, or, "
            "where the encoder gives none, by the crop. Indexes of one encoder may be searched together.",
            {JSON: _ANSWER},
            address=SearchOptions,
            body=Search,
            example="curl --data-binary @photo.jpg 'ADDRESS/search?k=5&fold=0.97'",
        ),
        Operation(
            "post",
            "/embed",
            "Turn photos into vectors",
            f"One photo as the body, up to {LIMITS.photos} as JSON, or pixels as an .npy file: (H, W, 3) or "
            f"(N, H, W, 3) uint8 RGB. With the header Accept: {NPY} the answer is an .npy file, (N, F) float32 of unit "
            "length.",
            {JSON: {"encoder": "mini", "dimension": 256, "vectors": [[0.0312, 0.0551]]}, NPY: "an .npy file"},
            address=EmbedOptions,
            body=Embed,
            arrays=True,
            example=f"curl --data-binary @photo.jpg -H 'Accept: {NPY}' -o vector.npy ADDRESS/embed",
        ),
        Operation(
            "get",
            "/indexes",
            "List the indexes",
            "With their numbers of photos, encoders, folders and classes.",
            {JSON: {"indexes": [{"name": "photos", "images": 1200, "encoder": "mini", "dimension": 256}]}},
        ),
        Operation(
            "get",
            "/items",
            "List the photos of an index",
            "In the order of their ids, or shuffled by a seed.",
            {JSON: {"photos": [_MATCH], "images": 1200, "next": 60}},
            address=Browse,
        ),
        Operation(
            "get",
            "/thumbnails/{index}/{id}",
            "A photo, small",
            "At most 256 px.",
            {JPEG: "a JPEG file"},
            path_parameters=_PHOTO_IN_PATH,
        ),
        Operation(
            "get",
            "/photos/{index}/{id}",
            "A photo, large",
            "At most 1280 px, without the file's metadata.",
            {JPEG: "a JPEG file"},
            path_parameters=_PHOTO_IN_PATH,
        ),
        Operation(
            "get",
            "/map/{index}",
            "Photos in two dimensions",
            f"Principal components of the vectors, 0 to 1; of more than {LIMITS.map_points} photos, as many at random.",
            {JSON: {"images": 1200, "variance": 0.31, "ids": [17], "labels": ["cats"], "x": [0.4], "y": [0.7]}},
            path_parameters=_PHOTO_IN_PATH[:1],
        ),
        Operation(
            "get",
            "/health",
            "Say that the service answers",
            "Needs no token.",
            {JSON: {"status": "ok", "indexes": 1, "images": 1200, "goodviews": "0.1"}},
        ),
        Operation(
            "get",
            "/metrics",
            "Numbers for Prometheus",
            "Requests, times, sizes of batches, photos of each index.",
            {"text/plain": "goodviews_requests_total"},
        ),
    ]


def description() -> dict[str, Any]:
    """The API as OpenAPI 3.1."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for one in operations():
        paths.setdefault(one.path, {})[one.method] = _operation(one)
        if one.body is not None:
            schemas[one.body.__name__] = one.body.model_json_schema(ref_template="#/components/schemas/{model}")
    return {
        "openapi": "3.1.0",
        "info": {"title": "goodviews search", "version": version(), "description": "Search photos by photo."},
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas | {"Error": TypeAdapter(dict[str, str]).json_schema()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def parameters(one: Operation) -> list[dict[str, Any]]:
    """What may stand in the address of an operation, as OpenAPI lists it."""
    found = [
        {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": kind}}
        for name, text, kind in one.path_parameters
    ]
    fields = one.address.model_json_schema()["properties"] if one.address is not None else {}
    for name, schema in fields.items():
        text = schema.pop("description", "")
        found.append({"name": name, "in": "query", "required": False, "description": text, "schema": schema})
    return found


def _operation(one: Operation) -> dict[str, Any]:
    answers = {kind: {"example": example} for kind, example in one.answers.items()}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    described: dict[str, Any] = {
        "summary": one.summary,
        "description": one.text,
        "parameters": parameters(one),
        "responses": {
            "200": {"description": "As asked.", "content": answers},
            "default": {"description": "One sentence says what is wrong.", "content": error},
        },
    }
    if one.body is not None:
        binary = {"schema": {"type": "string", "format": "binary"}}
        content = {JSON: {"schema": {"$ref": f"#/components/schemas/{one.body.__name__}"}}, "image/*": binary}
        described["requestBody"] = {"required": True, "content": content | ({NPY: binary} if one.arrays else {})}
    return described
