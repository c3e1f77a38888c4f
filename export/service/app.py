"""The service as a web application."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from ...hub.web import ERROR_HANDLERS, App, Receive, Refusal, Scope, Send, WithHeaders
from . import api, pages, showing
from .access import Guard, login
from .metrics import Metrics
from .service import Service

# The page is made of files of its own; nothing comes from elsewhere, and no other site may frame it.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # without any, a form's Origin would be "null"
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
WATCH_EVERY_S = 2.0
# First parts of addresses, as metrics name them; what else strangers ask for is "other".
PATHS = frozenset(
    {
        *("", "search", "embed", "indexes", "items", "thumbnails", "photos", "map"),
        *("health", "metrics", "openapi.json", "api", "login", "page"),
    }
)


def service_app(service: Service, *, watch_every_s: float = WATCH_EVERY_S) -> App:
    """The page and the API; indexes that change on disk are read anew, and the service is closed at the end."""

    @contextlib.asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        watcher = asyncio.create_task(service.watch(watch_every_s))
        try:
            yield
        finally:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher
            service.close()

    routes = [
        *api.ROUTES,
        *showing.ROUTES,
        *pages.ROUTES,
        Route("/login", login(service.token), methods=["GET", "POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers=ERROR_HANDLERS, lifespan=running)
    app.state.service = service
    return WithHeaders(_Counted(Guard(app, service.token), service.metrics, service.limits.requests), HEADERS)


class _Counted:
    """Counts and times requests, and turns them away where too many are under way."""

    def __init__(self, app: App, metrics: Metrics, most: int):
        self.app, self.metrics, self.most, self.under_way = app, metrics, most, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), [500]

        async def send_and_note(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
            await send(message)

        self.under_way += 1
        self.metrics.under_way.inc()
        try:
            busy = self.under_way > self.most and scope["path"] not in ("/health", "/metrics")
            await (_too_many() if busy else self.app)(scope, receive, send_and_note)
        finally:
            self.under_way -= 1
            self.metrics.under_way.dec()
            path = _label(scope["path"])
            self.metrics.requests.labels(path, str(status[0])).inc()
            self.metrics.seconds.labels(path).observe(time.perf_counter() - started)


def _too_many() -> JSONResponse:
    refusal = Refusal(503, "Too many requests are under way; ask again in a second.", headers={"Retry-After": "1"})
    return JSONResponse({"error": refusal.detail}, 503, headers=dict(refusal.headers or {}))


def _label(path: str) -> str:
    """Of a request in the metrics: one of few."""
    first = path.strip("/").partition("/")[0]
    return f"/{first}" if first in PATHS else "other"
