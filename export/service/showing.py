"""What there is: the indexes, their photos, thumbnails by id, a map, health and numbers for monitoring."""

from typing import Any
from urllib.parse import quote

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ...hub.errors import GoodviewsError
from ...hub.reports.provenance import version
from ...hub.web import Refusal
from ..index.item import Item
from . import metrics
from .collection import filter_of, mark_of
from .requests import Browse, from_address
from .service import Served, Service

KEEP = {"Cache-Control": "private, max-age=604800, immutable"}
MOST_FOLDERS = 2000  # that are named in one answer


def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def described(served: Served, item: Item) -> dict[str, Any]:
    """A photo in an answer."""
    return {
        "index": served.name,
        "id": item.id,
        "path": served.collection.path_of(item),
        "label": item.label,
        "date": item.date,
        "thumbnail": f"/thumbnails/{quote(served.name, safe='')}/{item.id}?v={mark_of(item)}",
    }


async def indexes(request: Request) -> Response:
    """GET /indexes: names, numbers, encoders, folders and classes."""
    service = service_of(request)

    def listed() -> list[dict[str, Any]]:
        return [_about(service.served(name)) for name in service.names]

    return JSONResponse({"indexes": await service.run(listed)})


async def items(request: Request) -> Response:
    """GET /items: the photos of an index, in the order of their ids or shuffled."""
    service = service_of(request)
    asked = from_address(Browse, request.query_params)
    served = [service.served(name) for name in dict.fromkeys(asked.index or service.names[:1])]

    within = filter_of(asked.folder, asked.label, asked.after, asked.before)

    def listed() -> dict[str, Any]:
        chosen = [one.collection.select(within) for one in served]
        ids = np.concatenate(chosen)
        owners = np.repeat(np.arange(len(served)), [len(some) for some in chosen])
        order = np.arange(len(ids)) if asked.seed is None else np.random.default_rng(asked.seed).permutation(len(ids))
        part = order[asked.offset : asked.offset + asked.k]
        end = asked.offset + len(part)
        photos: dict[int, dict[str, Any]] = {}
        for owner, one in enumerate(served):
            places = part[owners[part] == owner].tolist()
            found = one.collection.index.items_of(ids[places].tolist())
            photos |= {place: described(one, item) for place, item in zip(places, found)}
        return {
            "photos": [photos[place] for place in part.tolist()],
            "images": len(ids),
            "next": end if end < len(ids) else None,
        }

    return JSONResponse(await service.run(listed))


async def thumbnail(request: Request) -> Response:
    """GET /thumbnails/INDEX/ID: a small JPEG."""
    served, number = _photo(request, service_of(request))
    return await _jpeg(lambda: served.collection.thumbnail(number), number)


async def photo(request: Request) -> Response:
    """GET /photos/INDEX/ID: a JPEG that fills a screen."""
    served, number = _photo(request, service_of(request))
    return await _jpeg(lambda: served.collection.preview(number), number)


async def chart(request: Request) -> Response:
    """GET /map/INDEX: where the photos of an index lie in two dimensions, 0 to 1."""
    service = service_of(request)
    served = service.served(request.path_params["index"])
    numbers, projection = await service.projection(served)
    collection = served.collection
    found = await service.run(lambda: collection.index.items_of(numbers))
    return JSONResponse(
        {
            "images": len(collection),
            "variance": round(projection.variance, 4),
            "ids": numbers,
            "marks": [mark_of(item) for item in found],
            "labels": [item.label for item in found],
            "x": [round(float(x), 4) for x in projection.points[:, 0]],
            "y": [round(float(y), 4) for y in projection.points[:, 1]],
        }
    )


async def health(request: Request) -> Response:
    """GET /health: that it answers, for whoever watches over it; names nothing that is inside."""
    service = service_of(request)
    images = sum(len(service.served(name).collection) for name in service.names)
    return JSONResponse({"status": "ok", "indexes": len(service.names), "images": images, "goodviews": version()})


async def numbers(request: Request) -> Response:
    """GET /metrics, as Prometheus reads it."""
    return Response(service_of(request).metrics.text(), media_type=metrics.CONTENT_TYPE)


ROUTES: list[BaseRoute] = [
    Route("/indexes", indexes),
    Route("/items", items),
    Route("/thumbnails/{index}/{id:int}", thumbnail),
    Route("/photos/{index}/{id:int}", photo),
    Route("/map/{index}", chart),
    Route("/health", health),
    Route("/metrics", numbers),
]


def _about(served: Served) -> dict[str, Any]:
    collection = served.collection
    return {
        "name": served.name,
        "images": len(collection),
        "encoder": served.network.name,
        "weights": served.network.id.weights_sha256,
        "dimension": served.network.dimension,
        "region": served.network.region_method,
        "folders": [{"name": name, "images": count} for name, count in collection.folders[:MOST_FOLDERS]],
        "labels": [{"name": name, "images": count} for name, count in collection.labels[:MOST_FOLDERS]],
        "dates": collection.dates,
    }


def _photo(request: Request, service: Service) -> tuple[Served, int]:
    served, number = service.served(request.path_params["index"]), int(request.path_params["id"])
    if number >= 2**63 or served.collection.item(number) is None:
        raise Refusal(404, f"{served.name} has no photo {str(number)[:30]}.")
    return served, number


async def _jpeg(make: Any, number: int) -> Response:
    try:
        data = await run_in_threadpool(make)
    except (OSError, GoodviewsError):
        raise Refusal(404, f"The file of photo {number} is gone or cannot be read.") from None
    return Response(data, media_type="image/jpeg", headers=KEEP)
