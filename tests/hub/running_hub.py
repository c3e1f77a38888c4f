"""A private hub on loopback in a process of its own, as `goodviews hub serve` starts it, and the real client."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TOKEN = "a-secret-for-tests"


@dataclass
class RunningHub:
    """`address` is where it answers; `root` is its folder; `python` runs its clients."""

    root: Path
    address: str
    process: subprocess.Popen[str]
    python: str = sys.executable

    def client(self, code: str, *, token: str | None = TOKEN, home: Path, **variables: str) -> str:
        """What code prints that must end well, run as by `run`."""
        done = self.run(code, token=token, home=home, **variables)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.strip()

    def run(
        self, code: str, *, token: str | None = TOKEN, home: Path, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run code in a process of its own, where huggingface_hub, timm and transformers see this hub only."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environment |= {
            "HF_ENDPOINT": self.address,
            "OMP_NUM_THREADS": "1",
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1",
            **({"HF_TOKEN": token} if token else {}),
            **variables,
        }
        words = [self.python, "-c", code]
        return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)

    def script(self, file: Path, *words: str, home: Path) -> str:
        """What a script prints that must end well, run as by `run`."""
        argv = [str(file), *words]
        code = f"import runpy, sys; sys.argv[:] = {argv!r}; runpy.run_path(sys.argv[0], run_name='__main__')"
        return self.client(code, home=home)

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        self.process.send_signal(with_signal)
        return self.process.wait(timeout=60)
