"""A private hub on loopback in a process of its own, as `goodviews hub serve` starts it, and the real client."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

TOKEN = "a-secret-for-tests"


@dataclass
class RunningHub:
    """`address` is where it answers; `root` is its folder."""

    root: Path
    address: str
    process: subprocess.Popen[str]

    def client(self, code: str, *, token: str | None = TOKEN, home: Path, **variables: str) -> str:
        """Run code in a process of its own, where huggingface_hub, timm and transformers see this hub only."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environment |= {
            "HF_ENDPOINT": self.address,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1",
            **({"HF_TOKEN": token} if token else {}),
            **variables,
        }
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=180
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.strip()

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        self.process.send_signal(with_signal)
        return self.process.wait(timeout=60)


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
