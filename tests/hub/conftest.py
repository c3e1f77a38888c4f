"""A Hub on loopback that serves one repository, timm's resnet18, with weights made on the spot."""

import hashlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save

from .running_hub import TOKEN, RunningHub


@dataclass(frozen=True)
class HubServer:
    environment: dict[str, str]
    conv1_sum: float


@pytest.fixture
def hub_server(tmp_path: Path) -> Iterator[HubServer]:
    torch.manual_seed(7)
    weights = timm.create_model("resnet18").state_dict()
    files = {"/timm/resnet18.a1_in1k/resolve/main/model.safetensors": save(weights, metadata={"format": "pt"})}
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(files))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}",
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
    }
    yield HubServer(environment, float(weights["conv1.weight"].sum()))
    server.shutdown()
    server.server_close()


def _handler(files: dict[str, bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            body = files.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("X-Repo-Commit", "0123456789" * 4)
            if body is None:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("ETag", f'"{hashlib.sha256(body or b"").hexdigest()}"')
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if with_body:
                self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@pytest.fixture(scope="module")
def start_hub() -> Iterator[Callable[..., RunningHub]]:
    """Starts hubs; all are stopped at the end."""
    running: list[RunningHub] = []

    def start(root: Path, *, token: str | None = TOKEN) -> RunningHub:
        environment = {**os.environ, "GOODVIEWS_HUB_TOKEN": token or ""}
        words = [sys.executable, "-m", "goodviews.hub", "hub", "serve", str(root), "--port", "0"]
        process = subprocess.Popen(
            words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        match = re.search(r"http://127\.0\.0\.1:\d+", first)
        assert match, first + process.stdout.read()
        running.append(RunningHub(root, match[0], process))
        return running[-1]

    yield start
    for hub in running:
        if hub.process.poll() is None:
            hub.process.kill()
            hub.process.wait()


@pytest.fixture(scope="module")
def hub(start_hub: Callable[..., RunningHub], tmp_path_factory: pytest.TempPathFactory) -> RunningHub:
    """One hub for the tests of a file; each uses repositories of its own."""
    return start_hub(tmp_path_factory.mktemp("hub") / "store")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty cache of the client."""
    return tmp_path / "hf"
