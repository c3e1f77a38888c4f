"""A small index of real photos and a service on loopback that searches it, as `goodviews serve` runs it."""

import http.client
import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason='needs the extra serve: pip install ".[serve]"')
pytest.importorskip("prometheus_client", reason='needs the extra serve: pip install ".[serve]"')

import uvicorn

from goodviews.export.index.build import build
from goodviews.export.service.app import service_app
from goodviews.export.service.limits import Limits
from goodviews.export.service.service import Service
from goodviews.hub import from_pretrained
from goodviews.hub.encoder import Encoder
from goodviews.hub.web import Token

LABELS = ("blood", "indoors", "outdoors", "raccoon")


@dataclass
class Running:
    """A service that answers at `port`."""

    service: Service
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: bytes | dict[str, Any] | None = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Status, headers and body of an answer. Header names are written with underscores."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, dict):
            body, sent = json.dumps(body).encode(), {"Content-Type": "application/json"} | sent
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def json(self, method: str, path: str, body: bytes | dict[str, Any] | None = None, **headers: str) -> Any:
        """The body of an answer with status 200."""
        status, _, answer = self.ask(method, path, body, **headers)
        assert status == 200, answer
        return json.loads(answer)

    def refusal(
        self, method: str, path: str, body: bytes | dict[str, Any] | None = None, **headers: str
    ) -> tuple[int, str]:
        """Status and sentence of an answer that is an error."""
        status, _, answer = self.ask(method, path, body, **headers)
        assert status >= 400, answer
        return status, json.loads(answer)["error"]


@pytest.fixture(scope="session")
def mini() -> Encoder:
    return from_pretrained("goodviews:mini")


@pytest.fixture(scope="session")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LABEL/NAME: four photos of each of four classes, and a copy of one."""
    root = tmp_path_factory.mktemp("album")
    source = Path(str(files("goodviews.hub"))) / "photos" / "val"
    for label in LABELS:
        (root / label).mkdir()
        for path in sorted((source / label).glob("*.jpg"))[:4]:
            shutil.copy(path, root / label / path.name)
    first = sorted((root / "raccoon").glob("*.jpg"))[0]
    shutil.copy(first, root / "raccoon" / "zz-copy.jpg")
    return root


@pytest.fixture(scope="session")
def index_folder(mini: Encoder, album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("index") / "album"
    build(mini, album, out)
    return out


@contextmanager
def run_service(service: Service) -> Iterator[Running]:
    """Answer on a free port of loopback while the block runs."""
    listener = socket.create_server(("127.0.0.1", 0))
    app = service_app(service, watch_every_s=0.2)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=10))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield Running(service, listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def make_service(mini: Encoder) -> Callable[..., Service]:
    """A service over index folders whose encoder is mini; options are `token` and `limits`."""

    def make(*folders: Path, token: str | None = None, limits: Limits | None = None) -> Service:
        return Service(folders, lambda index: mini, token=Token(token), limits=limits)

    return make


@pytest.fixture(scope="session")
def running(make_service: Callable[..., Service], index_folder: Path) -> Iterator[Running]:
    with run_service(make_service(index_folder)) as found:
        yield found


@pytest.fixture
def raccoon(album: Path) -> Path:
    """A photo that lies in the index twice."""
    return sorted((album / "raccoon").glob("*.jpg"))[0]
