"""What a Hub may answer instead of an encoder: each is one sentence, once, and at once."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from goodviews.hub import Encoder, save

pytestmark = pytest.mark.oldest

SHA = "0123456789" * 4
ANSWERS = {  # of a repository's first question: status, headers
    "gated": (403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to model team/gated is restricted."}),
    "quota": (429, {"X-Error-Message": "You have reached the rate limit."}),
    "token": (401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
    "closed": (503, {}),
    "absent": (404, {"X-Error-Code": "RepoNotFound"}),
    "disabled": (403, {"X-Error-Message": "Access to this resource is disabled."}),
}
SENTENCES = {
    "gated": "it is gated; ask for access at",
    "quota": "the quota is used up (HTTP 429)",
    "token": "the token was refused (HTTP 401)",
    "closed": "the server answered HTTP 503; try again later",
    "absent": "has no such repository",
    "disabled": "Access to this resource is disabled.",
    "cut": "copy it again",
    "changed": "it was changed or is damaged",
}
ASK = """
import json, sys, time
from goodviews.hub import GoodviewsError, from_pretrained
for name in sys.argv[1:]:
    begin = time.monotonic()
    try: from_pretrained(f"team/{name}")
    except GoodviewsError as error: print(json.dumps([name, str(error), time.monotonic() - begin]))
"""


@pytest.fixture
def endpoint(encoder: Encoder, tmp_path: Path) -> Iterator[str]:
    """A Hub that refuses, and has two repositories whose weights arrive damaged."""
    folder = save(encoder, tmp_path / "encoder")
    weights = (folder / "model.safetensors").read_bytes()
    config = (folder / "config.json").read_bytes()
    flipped = weights[:-1] + bytes([weights[-1] ^ 1])
    files = {"cut": weights[:10_000], "changed": flipped}

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            name = next((part for part in self.path.split("/") if part in SENTENCES), "")
            status, headers = ANSWERS.get(name, (200, {}))
            body = b""
            if name in files:
                siblings = [{"rfilename": file} for file in ("config.json", "model.safetensors")]
                body = json.dumps({"id": f"team/{name}", "sha": SHA, "siblings": siblings}).encode()
                body = config if self.path.endswith("config.json") else body
                body = files[name] if self.path.endswith("model.safetensors") else body
            self.send_response(status if name else 404)
            for key, value in ({"X-Repo-Commit": SHA, "ETag": hashlib.sha256(body).hexdigest()} | headers).items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_every_refusal_is_its_own_sentence_at_once_and_without_the_clients_retries(endpoint: str, tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "NO_PROXY": "127.0.0.1",
    }
    words = [sys.executable, "-W", "ignore", "-c", ASK, *SENTENCES]  # what torch says of an old timm is not meant
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    found = {name: (sentence, seconds) for name, sentence, seconds in map(json.loads, done.stdout.splitlines())}
    assert found.keys() == SENTENCES.keys()
    for name, expected in SENTENCES.items():
        sentence, seconds = found[name]
        assert expected in sentence
        assert "\n" not in sentence
        assert seconds < 20, (name, seconds)  # the client alone would wait for minutes at a quota
    assert done.stderr == ""
