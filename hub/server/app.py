"""The private hub as a web application."""

from starlette.applications import Starlette

from ..web import ERROR_HANDLERS, App, Receive, Scope, Send, WithHeaders
from . import pages, reading, writing
from .state import Hub


def hub_app(hub: Hub) -> App:
    """The hub's pages and everything that the Hugging Face client asks; the hub is closed when the server stops."""
    routes = [*writing.ROUTES, *reading.ROUTES, *pages.ROUTES]
    app = Starlette(routes=routes, exception_handlers=ERROR_HANDLERS)
    app.state.hub = hub
    return WithHeaders(_QuotedPaths(app), {"X-Content-Type-Options": "nosniff"})


class _QuotedPaths:
    """Routes see addresses as they were sent, since a branch's name may hold a quoted slash; handlers unquote parts."""

    def __init__(self, app: App):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope.get("raw_path"):
            scope = {**scope, "path": scope["raw_path"].partition(b"?")[0].decode("latin-1")}
        await self.app(scope, receive, send)
