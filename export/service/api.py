"""POST /search and POST /embed."""

import asyncio
import base64
import io
import time
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ...hub.errors import GoodviewsError
from ...hub.web import Refusal
from .bodies import JSON, NPY, body_of, decode, kind_of, preparation
from .collection import filter_of
from .photo_input import arrays_of, bytes_of
from .ranking import Found, Group, Part, merged, part_of, vectors_in
from .region import Box
from .requests import Embed, EmbedOptions, Search, SearchOptions, from_address, from_json
from .service import Served, Service
from .showing import described, service_of

NO_DIRECTION = 1e-12  # a vector shorter than this points nowhere


async def search(request: Request) -> Response:
    """POST /search: the photos nearest to a photo, a region of it, a photo of an index, or a vector."""
    started, service = time.perf_counter(), service_of(request)
    asked = await _asked(request, service)
    served = service.chosen(asked.index)
    query = await _query(service, served[0], asked)
    part = await service.run(lambda: _ranking(service, served, asked, query))
    return JSONResponse(
        {
            "matches": [_group(group, served) for group in part.groups],
            "next": None if part.is_last else asked.offset + len(part.groups),
            "region": None if asked.box is None else served[0].network.region_method,
            "took_ms": round((time.perf_counter() - started) * 1000, 1),
            "query": base64.b64encode(query.tobytes()).decode(),
        }
    )


async def embed(request: Request) -> Response:
    """POST /embed: vectors of one photo or of several, as JSON or as an .npy file."""
    service, kind = service_of(request), kind_of(request)
    limits = service.limits
    body = await body_of(request, limits)
    photos: list[Any]
    if kind == JSON:
        asked = from_json(Embed, body)
        name, photos = asked.index, [bytes_of(text, name=f"Photo {n}") for n, text in enumerate(asked.photos)]
    else:
        name = from_address(EmbedOptions, request.query_params).index
        photos = [body]
        if kind == NPY:
            photos = [*arrays_of(body, most=limits.photos, most_pixels=limits.pixels)]
    served = service.chosen([] if name is None else [name])[0]
    vectors = np.stack(await asyncio.gather(*_vectors(service, served, photos)))
    if NPY in request.headers.get("accept", ""):
        return Response(_npy(vectors), media_type=NPY)
    return JSONResponse({"encoder": served.network.name, "dimension": vectors.shape[1], "vectors": vectors.tolist()})


ROUTES: list[BaseRoute] = [
    Route("/search", search, methods=["POST"]),
    Route("/embed", embed, methods=["POST"]),
]


async def _asked(request: Request, service: Service) -> Search:
    """The search of a request; of a photo that is the body itself, as if it were in JSON."""
    kind = kind_of(request)
    body = await body_of(request, service.limits)
    if kind == JSON:
        return from_json(Search, body)
    if kind == NPY:
        raise Refusal(400, "A search takes no arrays; send a photo's bytes, or JSON.")
    options = from_address(SearchOptions, request.query_params)
    return options.with_photo(base64.b64encode(body).decode())


def _vectors(service: Service, served: Served, photos: list[Any]) -> list[Any]:
    async def one(place: int, photo: Any) -> np.ndarray:
        name = "The photo" if len(photos) == 1 else f"Photo {place}"
        prepared = await service.run(preparation(photo, served, service.limits, name))
        return await asyncio.wrap_future(served.batches.embed(prepared))

    return [one(place, photo) for place, photo in enumerate(photos)]


async def _query(service: Service, served: Served, asked: Search) -> np.ndarray:
    """(F,) float32 of unit length."""
    if asked.query is not None:
        return _unit(_floats(asked.query), served)
    if asked.vector is not None:
        return _unit(np.array(asked.vector, np.float64), served)
    if asked.photo is not None:
        photo: Any = bytes_of(asked.photo)
    elif asked.box is None:
        return _own_vector(service, asked)
    else:
        photo = await service.run(lambda: _file(service, asked))
    if asked.box is None:
        vector: np.ndarray = await _vectors(service, served, [photo])[0]
        return vector
    box, limits = Box(*asked.box), service.limits
    image = await service.run(lambda: decode(photo, served, limits, "The photo"))
    box.pixels(image.size)  # a box that is too small is known before anything waits
    return await asyncio.wrap_future(served.batches.call(lambda: served.network.embed_region(image, box)))


def _own_vector(service: Service, asked: Search) -> np.ndarray:
    """Of a photo of an index, as it lies there."""
    served, number = _of(service, asked)
    vector: np.ndarray = served.collection.vectors_of([number])[0]
    return vector


def _file(service: Service, asked: Search) -> bytes:
    served, number = _of(service, asked)
    try:
        return served.collection.file(number).read_bytes()
    except (OSError, GoodviewsError):
        raise Refusal(404, f"The file of photo {number} cannot be read, so no region of it can be searched.") from None


def _of(service: Service, asked: Search) -> tuple[Served, int]:
    served = service.served(asked.of or (asked.index or service.names)[0])
    if asked.id is None or served.collection.item(asked.id) is None:
        raise Refusal(404, f"{served.name} has no photo {asked.id}.")
    return served, asked.id


def _floats(text: str) -> np.ndarray:
    data = bytes_of(text, name="The query")
    if len(data) % 4:
        raise Refusal(400, "The query is none that this service gave.")
    return np.frombuffer(data, "<f4").astype(np.float64)


def _unit(vector: np.ndarray, served: Served) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    if len(vector) != served.network.dimension or not (NO_DIRECTION < length < float("inf")):
        raise Refusal(400, f"A query of {served.name} is {served.network.dimension} finite numbers, not all zero.")
    unit: np.ndarray = (vector / length).astype(np.float32)
    return unit


def _ranking(service: Service, served: list[Served], asked: Search, query: np.ndarray) -> Part:
    within = filter_of(asked.folder, asked.label, asked.after, asked.before)
    collections = {one.name: one.collection for one in served}
    own = (_of(service, asked)[0].name, asked.id) if asked.id is not None and asked.box is None else None

    def find(depth: int) -> list[Found]:
        rankings = [
            [Found(one.name, match) for match in one.collection.find(query, depth + 1, one.network.id, within)]
            for one in served
        ]
        found = [one for one in merged(rankings) if (one.collection, one.match.item.id) != own]
        return found[:depth]

    limits = service.limits
    return part_of(
        find, vectors_in(collections), offset=asked.offset, k=asked.k, fold=asked.fold, deepest=limits.deepest
    )


def _group(group: Group, served: list[Served]) -> dict[str, Any]:
    return _found(group.first, served) | {"copies": [_found(one, served) for one in group.copies]}


def _found(found: Found, served: list[Served]) -> dict[str, Any]:
    one = next(one for one in served if one.name == found.collection)
    return described(one, found.match.item) | {"similarity": round(found.match.similarity, 4)}


def _npy(vectors: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, vectors, allow_pickle=False)
    return stream.getvalue()
