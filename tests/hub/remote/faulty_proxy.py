"""A proxy on loopback that passes requests on to a hub, but for one, which it drops."""

import contextlib
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal


class FaultyProxy:
    """Drops the connection at one request: before the hub has seen it, or after the hub has answered.

    Attributes:
        asked: requests that came in; has_failed: whether the one was among them.
    """

    def __init__(self, target: str, *, fail_at: int, when: Literal["before", "after"]):
        self.target, self.fail_at, self.when = target.removeprefix("http://"), fail_at, when
        self.asked, self.has_failed = 0, False
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "FaultyProxy":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def is_next_dropped(self) -> bool:
        with self._lock:
            number, self.asked = self.asked, self.asked + 1
            self.has_failed |= number == self.fail_at
            return number == self.fail_at


def _handler(proxy: FaultyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            is_dropped = proxy.is_next_dropped()
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if is_dropped and proxy.when == "before":
                return self._drop()
            connection = http.client.HTTPConnection(proxy.target, timeout=60)
            connection.request(self.command, self.path, body or None, dict(self.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
            if is_dropped:
                return self._drop()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("transfer-encoding", "connection", "content-length", "date"):
                    self.send_header(name, value)
            length = answer.headers.get("content-length") if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            self.wfile.write(content)
            return None

        def _drop(self) -> None:
            self.close_connection = True
            self.connection.close()

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _pass_on

        def log_message(self, format: str, *args: object) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(OSError, ValueError):  # of the connection that was dropped
                super().handle()

    return Handler
