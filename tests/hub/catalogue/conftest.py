"""A server on loopback that can break off, change its files, refuse ranges and answer with web pages."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class FileServer:
    """Files by path; `break_after` cuts each answer after so many bytes, as often as `breaks` says."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.content_type = "application/octet-stream"
        self.break_after, self.breaks = 0, 0
        self.takes_ranges = True
        self.requests: list[str | None] = []  # the Range of each
        own = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                own.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        self.requests.append(asked)
        content = self.files.get(request.path)
        if content is None:
            request.send_error(404)
            return
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        begin = 0
        if asked and self.takes_ranges and request.headers.get("If-Range") == tag:
            begin = int(asked.removeprefix("bytes=").removesuffix("-"))
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            request.send_response(200)
        request.send_header("ETag", tag)
        request.send_header("Content-Type", self.content_type)
        request.send_header("Content-Length", str(len(content) - begin))
        request.end_headers()
        body = content[begin:]
        if self.breaks:
            self.breaks -= 1
            body = body[: self.break_after]
        request.wfile.write(body)
        request.wfile.flush()
        request.close_connection = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = FileServer()
    yield running
    running.server.shutdown()
    running.server.server_close()
