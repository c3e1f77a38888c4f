"""Who is let in: this machine alone, or whoever has the token, in a header or in a cookie that the page sets."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from ...hub.output.templates import fill_template
from ...hub.web import App, Receive, Refusal, Scope, Send, Token, is_loopback, read_body

VARIABLE = "GOODVIEWS_SERVE_TOKEN"
COOKIE = "goodviews"
OPEN = frozenset({"/health", "/login", "/page/page.css", "/page/icon.svg"})
LONGEST_FORM = 4096

Answer = Callable[[Request], Awaitable[Response]]


class Guard:
    """Answers those who may not ask, before anything else sees the request."""

    def __init__(self, app: App, token: Token):
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(Request(scope))
        await (self.app if refusal is None else refusal)(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        headers = request.headers
        if self.token.secret is None and not is_loopback(_host(headers)):
            # another site's name that leads to this machine would let that site's scripts read the answers
            return _error(
                403, "This service answers to 127.0.0.1 and localhost alone; start it with a token for others."
            )
        if _is_from_elsewhere(headers):
            return _error(403, "This request comes from another site's page, which may not ask here.")
        if self.token.secret is None or request.url.path in OPEN or self._is_known(request):
            return None
        if request.method == "GET" and "text/html" in headers.get("accept", ""):
            return login_page(wrong=False)
        return _error(401, "A token is needed: send the header Authorization: Bearer TOKEN.", bearer=True)

    def _is_known(self, request: Request) -> bool:
        sent = request.cookies.get(COOKIE, "")
        return self.token.is_sent_by(request.headers) or hmac.compare_digest(
            sent.encode(), _cookie(self.token).encode()
        )


def login(token: Token) -> Answer:
    """The endpoint that takes the token from the page's form and sets the cookie."""

    async def answer(request: Request) -> Response:
        if request.method == "GET":
            return login_page(wrong=False)
        body = await read_body(request, most=LONGEST_FORM)
        sent = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0].strip()
        if token.secret is None or not hmac.compare_digest(sent.encode(), token.secret.encode()):
            return login_page(wrong=True)
        response = RedirectResponse("/", 303)
        is_secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
        response.set_cookie(
            COOKIE, _cookie(token), httponly=True, samesite="strict", secure=is_secure, max_age=30 * 86400
        )
        return response

    return answer


def login_page(*, wrong: bool) -> Response:
    text = fill_template(__package__, "page/login.html.j2", {"wrong": wrong})
    return HTMLResponse(text, 401)


def _cookie(token: Token) -> str:
    """Proves that its bearer had the token, and does not hold it."""
    return hmac.new((token.secret or "").encode(), b"goodviews page", hashlib.sha256).hexdigest()


def _host(headers: Headers) -> str:
    """The name that the client asked for, without the port."""
    host = headers.get("host", "")
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _is_from_elsewhere(headers: Headers) -> bool:
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host", "")


def _error(status: int, sentence: str, *, bearer: bool = False) -> Response:
    headers = Refusal(status, sentence).headers or {}
    return JSONResponse(
        {"error": sentence}, status, headers={**headers, **({"WWW-Authenticate": "Bearer"} if bearer else {})}
    )
