"""`goodviews serve` as a process: what it says, whom it refuses, how it stops."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from goodviews.export.service.commands import serve
from goodviews.hub import web
from goodviews.hub.errors import ArtifactError, UsageError


@pytest.fixture
def process(index_folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    words = [sys.executable, "-m", "goodviews.hub", "serve", str(index_folder), "--port", "0"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    started = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    assert started.stdout is not None
    lines = [started.stdout.readline(), started.stdout.readline()]
    found = re.search(r"http://127\.0\.0\.1:(\d+) ", lines[1])
    assert found, lines
    assert lines[0].startswith("album: 17 photos, encoded by ")
    yield started, int(found[1])
    started.kill()
    started.wait()


def test_a_request_under_way_is_answered_before_the_service_ends(
    process: tuple[subprocess.Popen[str], int], raccoon: Path
):
    service, port = process
    body = raccoon.read_bytes()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("POST", "/search?k=1")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:100])
    other = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    other.request("GET", "/health")  # so that the first request has arrived too
    assert other.getresponse().status == 200
    other.close()
    service.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        service.wait(timeout=1)
    connection.send(body[100:])
    answer = connection.getresponse()
    assert answer.status == 200
    assert json.loads(answer.read())["matches"]
    assert service.wait(timeout=30) in (0, -signal.SIGTERM)
    assert service.stdout is not None
    assert "Traceback" not in service.stdout.read()


def test_other_machines_are_let_in_with_a_token_only(index_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GOODVIEWS_SERVE_TOKEN", raising=False)
    with pytest.raises(UsageError, match="there is no token; set GOODVIEWS_SERVE_TOKEN"):
        serve([index_folder], host="0.0.0.0", port=0)


def test_a_folder_without_an_index_is_refused(tmp_path: Path):
    with pytest.raises(ArtifactError, match="holds no index"):
        serve([tmp_path], port=0)


def test_a_port_that_is_taken_is_refused(index_folder: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="Give another --port"):
        serve([index_folder], port=taken.getsockname()[1])


def test_answers_leave_at_once_and_do_not_wait_for_the_client(monkeypatch: pytest.MonkeyPatch):
    options: list[int] = []

    def run(self: object, sockets: list[socket.socket]) -> None:
        options.append(sockets[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        sockets[0].close()

    monkeypatch.setattr(web.uvicorn.Server, "run", run)
    web.serve(lambda scope, receive, send: None, host="127.0.0.1", port=0, ready=lambda port: None)
    assert options == [1]
