"""Pushes two encoders in turn through a proxy that fails at each request of a push; prints what is there after each.

Run by a client's interpreter: push_with_faults.py HUB REPO FIRST SECOND. The proxy is in this process, so that the
client, which reads HF_ENDPOINT when it is imported, is imported once.
"""

import hashlib
import http.client
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """One line of JSON for each push."""
    hub, repo, *places = sys.argv[1:]
    with _faulty_proxy().FaultyProxy(hub, fail_at=-1, when="before") as proxy:
        os.environ["HF_ENDPOINT"] = proxy.address
        from goodviews.hub import GoodviewsError
        from goodviews.hub.remote.names import Repository
        from goodviews.hub.remote.publish import push

        folders = [Path(place) for place in places]
        push(folders[0], Repository(repo))
        requests, present = proxy.asked, digest_of(folders[0])
        for number, when in [(number, when) for number in range(requests) for when in ("before", "after")]:
            (folder,) = (one for one in folders if digest_of(one) != present)
            proxy.asked, proxy.has_failed, proxy.fail_at, proxy.when = 0, False, number, when
            error = None
            try:
                push(folder, Repository(repo))
            except GoodviewsError as problem:
                error = str(problem)
            old, present = present, weights_in(hub, repo)
            told = {"request": number, "when": when, "has_failed": proxy.has_failed, "error": error}
            print(json.dumps(told | {"old": old, "new": digest_of(folder), "present": present}))


def digest_of(folder: Path) -> str:
    return str(json.loads((folder / "config.json").read_text())["goodviews"]["weights_sha256"])


def weights_in(hub: str, repo: str) -> str:
    """The digest of a repository's weights, which must be the one in its config.json."""
    weights, config = (_get(hub, f"/{repo}/resolve/main/{file}") for file in ("model.safetensors", "config.json"))
    found = hashlib.sha256(weights).hexdigest()
    assert found == json.loads(config)["goodviews"]["weights_sha256"]
    return found


def _get(hub: str, path: str) -> bytes:
    connection = http.client.HTTPConnection(hub.removeprefix("http://"), timeout=60)
    connection.request("GET", path)
    return connection.getresponse().read()


def _faulty_proxy() -> Any:
    """The module beside this file, which belongs to no package where this runs."""
    spec = importlib.util.spec_from_file_location("faulty_proxy", Path(__file__).with_name("faulty_proxy.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
