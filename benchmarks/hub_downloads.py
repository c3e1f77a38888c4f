"""Many downloads from a private hub while encoders are pushed to it: every file must be whole, and of one commit.

    python benchmarks/hub_downloads.py [--downloads 100] [--megabytes 20] [--out downloads.json]

A hub is started. The unmodified Hugging Face client downloads one repository into as many folders at once as asked,
twice each, while another one pushes two versions in turn until all downloads and at least three pushes have ended. The
weights of every folder must have the sha256 that the config.json beside them names. Exits with status 1 if one has not.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi, snapshot_download
from huggingface_hub.utils import disable_progress_bars

from goodviews.hub.reports.provenance import hardware

REPO, TOKEN, PUSHES = "team/encoder", "a-secret-of-this-campaign", 3
ROUNDS = 2  # of every downloader: in the first all ask for the commit at the same moment


@dataclass
class Outcome:
    """What became of the downloads; `failures` should be empty."""

    downloads: int = 0
    pushes: int = 0
    versions: dict[str, int] = field(default_factory=dict)  # how often each was found
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


def main() -> None:
    """Download, push, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--downloads", type=int, default=100)
    parser.add_argument("--megabytes", type=float, default=20.0, help="of the weights")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    disable_progress_bars()
    with tempfile.TemporaryDirectory() as place, running_hub(Path(place) / "hub") as address:
        outcome = campaign(address, Path(place), given.downloads, int(given.megabytes * 2**20))
    print(
        f"{outcome.downloads} downloads of {given.megabytes:g} MB, {given.downloads} at once, {outcome.pushes} pushes "
        f"meanwhile, in {outcome.seconds:.0f} s: {len(outcome.failures)} failures; found {outcome.versions}; "
        f"{hardware()}"
    )
    for failure in outcome.failures[:10]:
        print(failure)
    if given.out is not None:
        given.out.write_text(json.dumps(asdict(outcome) | {"hardware": hardware()}, indent=1))
    if outcome.failures:
        sys.exit(1)


def campaign(address: str, place: Path, downloads: int, size: int) -> Outcome:
    """Push once, then let downloads and pushes run together."""
    client = HfApi(endpoint=address, token=TOKEN)
    client.create_repo(REPO)
    versions = [make_version(name, size) for name in ("first", "second")]
    push(client, versions[0])
    outcome, ended, begin = Outcome(), threading.Event(), time.monotonic()
    with ThreadPoolExecutor(downloads + 1) as threads:
        pushing = threads.submit(push_until, ended, client, versions, outcome)
        together = threading.Barrier(downloads)
        found = [threads.submit(download_twice, address, place / str(number), together) for number in range(downloads)]
        for one in found:
            try:
                for version in one.result():
                    outcome.versions[version] = outcome.versions.get(version, 0) + 1
            except Exception as error:  # a campaign counts every failure
                outcome.failures.append(f"{type(error).__name__}: {str(error)[:300]}")
        ended.set()
        pushing.result()
    outcome.downloads, outcome.seconds = downloads * ROUNDS, time.monotonic() - begin
    return outcome


def make_version(name: str, size: int) -> list[CommitOperationAdd]:
    """The files of a version: weights, and a config.json that names them."""
    weights = hashlib.shake_256(name.encode()).digest(size)
    config = {"version": name, "sha256": hashlib.sha256(weights).hexdigest()}
    return [
        CommitOperationAdd("config.json", json.dumps(config).encode()),
        CommitOperationAdd("model.safetensors", weights),
    ]


def push(client: HfApi, version: list[CommitOperationAdd]) -> None:
    """One commit; operations are used once only."""
    again = [CommitOperationAdd(one.path_in_repo, one.path_or_fileobj) for one in version]
    client.create_commit(REPO, again, commit_message="a version")


def push_until(
    ended: threading.Event, client: HfApi, versions: list[list[CommitOperationAdd]], outcome: Outcome
) -> None:
    """Both versions in turn, the second first."""
    while outcome.pushes < PUSHES or not ended.is_set():
        outcome.pushes += 1
        push(client, versions[outcome.pushes % 2])


def download_twice(address: str, place: Path, together: threading.Barrier) -> list[str]:
    """The versions that were found whole."""
    together.wait()
    return [download(address, place / str(number)) for number in range(ROUNDS)]


def download(address: str, folder: Path) -> str:
    """The version that a folder holds, once it is whole."""
    snapshot_download(REPO, local_dir=folder, endpoint=address, max_workers=2)
    config = json.loads((folder / "config.json").read_text())
    found = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if found != config["sha256"]:
        raise ValueError(f"{folder} has weights {found[:12]} where {config['sha256'][:12]} belong")
    return str(config["version"])


@contextmanager
def running_hub(root: Path) -> Iterator[str]:
    """The address of a hub in a process of its own."""
    words = [sys.executable, "-m", "goodviews.hub", "hub", "serve", str(root), "--port", "0"]
    environment = os.environ | {"GOODVIEWS_HUB_TOKEN": TOKEN}
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found, "the hub did not start"
        yield found[0]
    finally:
        process.terminate()
        process.wait(timeout=60)


if __name__ == "__main__":
    main()
