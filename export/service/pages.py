"""The page's files, each by its name from a fixed table, and the description of the API."""

import json
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ...hub.output.templates import fill_template
from ...hub.web import Refusal
from .openapi import Operation, description, operations, parameters

KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".html": "text/html"}
FILES = {
    entry.name: entry.read_bytes()
    for entry in files(__package__).joinpath("page").iterdir()
    if entry.name.endswith(tuple(KINDS))
}


async def home(request: Request) -> Response:
    """GET /: the search page."""
    return HTMLResponse(FILES["index.html"], headers={"Cache-Control": "no-cache"})


async def file(request: Request) -> Response:
    """GET /page/NAME: one of the page's files."""
    name = request.path_params["name"]
    if name not in FILES:
        raise Refusal(404, f"The page has no file {name[:100]!r}.")
    kind = KINDS[name[name.rindex(".") :]]
    return Response(FILES[name], media_type=kind, headers={"Cache-Control": "no-cache"})


async def openapi(request: Request) -> Response:
    """GET /openapi.json."""
    return JSONResponse(description())


async def reference(request: Request) -> Response:
    """GET /api: the same for people."""
    address = str(request.base_url).rstrip("/")
    shown = [_shown(one, address) for one in operations()]
    return HTMLResponse(fill_template(__package__, "page/api.html.j2", {"operations": shown}))


ROUTES: list[BaseRoute] = [
    Route("/", home),
    Route("/page/{name}", file),
    Route("/openapi.json", openapi),
    Route("/api", reference),
]


def _shown(one: Operation, address: str) -> dict[str, Any]:
    fields = one.body.model_fields if one.body is not None else {}
    return {
        "method": one.method,
        "path": one.path,
        "summary": one.summary,
        "text": one.text,
        "parameters": parameters(one),
        "fields": [(name, field.description or "") for name, field in fields.items()],
        "example": one.example.replace("ADDRESS", address),
        "answers": [(kind, _text(example)) for kind, example in one.answers.items()],
    }


def _text(example: Any) -> str:
    return example if isinstance(example, str) else json.dumps(example, indent=2)
