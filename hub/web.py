"""What the web services of goodviews share: limits on what is sent, the token, errors as one sentence, a clean stop."""

import hmac
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any, BinaryIO

from .errors import MissingExtra, UsageError

try:
    import uvicorn
    from starlette.datastructures import Headers, MutableHeaders
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
except ImportError:
    raise MissingExtra("starlette", extra="serve", needed_for="A web service") from None

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Pages bring all they need; nothing a user pushed may run as a script or load from elsewhere.
SAFE_PAGE = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Refusal(HTTPException):
    """A request that is answered with an error status and one sentence.

    Args:
        status: of the answer, 400-599.
        sentence: what was found and what to do.
        code: for programs; the Hub's client chooses its exception by it ("RepoNotFound", "EntryNotFound", ...).
    """

    def __init__(
        self, status: int, sentence: str, *, code: str | None = None, headers: Mapping[str, str] | None = None
    ):
        fields = {"X-Error-Message": _latin1(sentence), **(headers or {})}
        if code is not None:
            fields["X-Error-Code"] = code
        super().__init__(status, sentence, fields)


async def answer_error(request: Request, error: Exception) -> Response:
    """An exception as JSON {"error": sentence}; what nobody foresaw is logged and answered with 500."""
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code, headers=dict(error.headers or {}))
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return JSONResponse({"error": "The server failed; its log says why."}, 500)


ERROR_HANDLERS: dict[Any, Any] = {HTTPException: answer_error, Exception: answer_error}


async def read_body(request: Request, *, most: int) -> bytes:
    """The whole body.

    Raises:
        Refusal: 413, more than `most` bytes.
    """
    parts: list[bytes] = []
    async for part in _parts(request, most):
        parts.append(part)
    return b"".join(parts)


async def write_body(request: Request, stream: BinaryIO, *, most: int) -> int:
    """The body into a file, part by part; gives the bytes written.

    Raises:
        Refusal: 413, more than `most` bytes.
    """
    size = 0
    async for part in _parts(request, most):
        size += stream.write(part)
    return size


async def _parts(request: Request, most: int) -> Any:
    announced = request.headers.get("content-length", "0")
    sentence = f"The body is larger than {most:,} bytes, the most that is taken here."
    if not announced.isdecimal() or int(announced) > most:
        raise Refusal(413, sentence)
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise Refusal(413, sentence)
        yield part


@dataclass(frozen=True)
class Token:
    """The one secret that opens what is closed to strangers; without one (None) nothing closed can be opened."""

    secret: str | None

    def is_sent_by(self, headers: Headers) -> bool:
        """Whether a request carries "Authorization: Bearer SECRET", compared in constant time."""
        scheme, _, sent = headers.get("authorization", "").partition(" ")
        if self.secret is None or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(sent.strip().encode(), self.secret.encode())


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_token_for(host: str, token: Token, *, variable: str) -> None:
    """Refuse to listen for other machines without a token.

    Raises:
        UsageError: the host is not this machine and there is no token.
    """
    if token.secret is None and not is_loopback(host):
        raise UsageError(
            f"--host {host} lets other machines in, and there is no token; set {variable} to a long secret, or leave "
            "--host out to serve this machine alone."
        )


class WithHeaders:
    """Adds headers to every answer that lacks them."""

    def __init__(self, app: App, headers: Mapping[str, str]):
        self.app, self.headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                present = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    present.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def serve(app: App, *, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Answer requests until SIGINT or SIGTERM; requests under way are finished first, for 30 seconds at most.

    Args:
        port: 0 for any that is free.
        ready: called with the port once requests are answered.

    Raises:
        UsageError: the port is taken or not allowed.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=30,
        server_header=False,
    )
    try:
        socket = config.bind_socket()
    except SystemExit:  # how uvicorn says that it cannot
        raise UsageError(f"Nothing can listen on {host} port {port}; is it taken? Give another --port.") from None

    # uvicorn's socket lacks the protocol by which asyncio would know it for TCP: answers then wait 40 ms for the client
    socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            ready(int(socket.getsockname()[1]))

    Server(config).run([socket])


def _latin1(sentence: str) -> str:
    """As a header can carry it."""
    return sentence.encode("latin-1", "replace").decode("latin-1").replace("\n", " ").replace("\r", " ")
