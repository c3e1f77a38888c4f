"""Many clients at once search a running `goodviews serve` by photo: latencies, errors, batches, memory.

    python benchmarks/serve_load.py --index INDEX --photos DIR --clients 50 --seconds 60 --out load.json

The service is a process of its own; the clients are threads of this one, on the same machine, each with a connection
that stays open. A client sends a photo, waits for its answer, and sends the next at once. With several numbers of
clients they run one after the other.
"""

import http.client
import json
import os
import platform
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import numpy as np
import psutil

from goodviews.hub.machine import cores, processor_name
from goodviews.hub.reports.provenance import command, commit
from goodviews.hub.sources.folders import find_images

TIMEOUT_S = 60


@dataclass
class Answers:
    """Of all clients of a round: seconds of each answer, and what went wrong how often."""

    seconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Round:
    """A number of clients for a while; times in milliseconds.

    Attributes:
        cpu_ms: processor time of the service for a search: what other work on the machine changes least.
    """

    clients: int
    seconds: float
    requests: int
    errors: dict[str, int]
    requests_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    largest_ms: float
    cpu_ms: float
    photos_per_batch: float
    memory_mb: float


def main(
    *,
    index: Path,
    photos: Path,
    clients: Annotated[list[int] | None, cyclopts.Parameter(consume_multiple=True)] = None,
    seconds: float = 60,
    encoder: str | None = None,
    k: int = 24,
    out: Path | None = None,
) -> None:
    """Measure a service under load.

    Args:
        index: Index folder.
        photos: Folder of photos to search by.
        clients: Numbers of clients at once, each a round (default: 50).
        seconds: Length of a round.
        encoder: Where the index's encoder is; by default where it was.
        k: Results of a search.
        out: File for the figures, JSON.
    """
    bodies = [path.read_bytes() for path in find_images(photos)]
    with running_service(index, encoder) as (port, process):
        ask(port, "POST", "/search", bodies[0])  # the first answer takes longer
        rounds = [measure(port, process, bodies, number, seconds, k) for number in clients or [50]]
        images = json.loads(ask(port, "GET", "/health"))["images"]
        about = json.loads(ask(port, "GET", "/indexes"))["indexes"][0]
    for one in rounds:
        print(
            f"{one.clients} clients, {one.seconds:.0f} s: {one.requests} searches, {sum(one.errors.values())} errors, "
            f"{one.requests_per_s:.1f}/s, p50 {one.p50_ms:.0f} ms, p95 {one.p95_ms:.0f} ms, p99 {one.p99_ms:.0f} ms, "
            f"{one.cpu_ms:.1f} ms of processor time a search, {one.photos_per_batch:.1f} photos a batch, "
            f"{one.memory_mb:.0f} MB"
        )
        for error, count in one.errors.items():
            print(f"  {count} x {error}")
    if out is not None:
        figures = {
            "encoder": about["encoder"],
            "dimension": about["dimension"],
            "images": images,
            "photos": {"number": len(bodies), "bytes": int(np.mean([len(body) for body in bodies]))},
            "rounds": [asdict(one) for one in rounds],
            "processor": processor_name(),
            "cores": cores(),
            "load_before": os.getloadavg()[2],
            "python": platform.python_version(),
            "commit": commit(),
            "date": datetime.now(UTC).date().isoformat(),
            "command": f"python benchmarks/{command()}",
        }
        out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def measure(port: int, process: psutil.Process, bodies: list[bytes], clients: int, seconds: float, k: int) -> Round:
    """One round."""
    answers, lock = Answers(), threading.Lock()
    before, cpu, start = batches(port), cpu_seconds(process), time.perf_counter()
    threads = [
        threading.Thread(target=search_until, args=(port, bodies, start + seconds, number, k, answers, lock))
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken, cpu = time.perf_counter() - start, cpu_seconds(process) - cpu
    photos, runs = (after - earlier for after, earlier in zip(batches(port), before))
    times = np.array(answers.seconds) * 1000
    p50, p95, p99 = (float(value) for value in np.percentile(times, [50, 95, 99]))
    return Round(
        clients=clients,
        seconds=round(taken, 1),
        requests=len(times),
        errors=dict(answers.errors),
        requests_per_s=len(times) / taken,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        largest_ms=float(times.max()),
        cpu_ms=1000 * cpu / len(times),
        photos_per_batch=photos / max(runs, 1),
        memory_mb=process.memory_info().rss / 1e6,
    )


def cpu_seconds(process: psutil.Process) -> float:
    """Processor time that a process has had."""
    times = process.cpu_times()
    return float(times.user + times.system)


def search_until(
    port: int, bodies: list[bytes], end: float, seed: int, k: int, answers: Answers, lock: threading.Lock
) -> None:
    """One client."""
    draw = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    while (started := time.perf_counter()) < end:
        try:
            connection.request("POST", f"/search?k={k}", draw.choice(bodies))
            answer = connection.getresponse()
            content = json.loads(answer.read())
            error = None if answer.status == 200 and len(content["matches"]) == k else f"status {answer.status}"
        except (OSError, http.client.HTTPException, ValueError, KeyError) as problem:
            error = type(problem).__name__
            connection.close()
        with lock:
            answers.seconds.append(time.perf_counter() - started)
            if error is not None:
                answers.errors[error] += 1
    connection.close()


def ask(port: int, method: str, path: str, body: bytes | None = None) -> bytes:
    """The body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    connection.request(method, path, body)
    content = connection.getresponse().read()
    connection.close()
    return content


def batches(port: int) -> tuple[float, float]:
    """Photos that the network took so far, and in how many runs."""
    found: dict[str, Any] = dict(
        re.findall(r"^goodviews_batch_photos_(sum|count) (\S+)", ask(port, "GET", "/metrics").decode(), re.M)
    )
    return float(found["sum"]), float(found["count"])


@contextmanager
def running_service(index: Path, encoder: str | None) -> Iterator[tuple[int, psutil.Process]]:
    """A service in a process of its own; gives its port."""
    words = [sys.executable, "-m", "goodviews.hub", "serve", str(index), "--port", "0"]
    words += [] if encoder is None else ["--encoder", encoder]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if found := re.search(r"http://127\.0\.0\.1:(\d+) ", line):
                break
        else:
            raise SystemExit(f"The service did not start: {' '.join(lines)}")
        yield int(found[1]), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=60)


if __name__ == "__main__":
    app = cyclopts.App(result_action="return_value")
    app.default(main)
    app(sys.argv[1:])
