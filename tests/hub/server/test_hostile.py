"""What a hub refuses, each time in one sentence, with nothing stored under a name."""

import base64
import hashlib
import http.client
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from goodviews.hub.errors import UsageError
from goodviews.hub.server.state import Limits, open_hub
from goodviews.hub.web import Token, require_token_for

from ..running_hub import TOKEN, RunningHub


def ask(
    hub: RunningHub, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, str], bytes]:
    """One request, with the token; the path goes out as it is."""
    connection = http.client.HTTPConnection(hub.address.removeprefix("http://"), timeout=60)
    connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}", **(headers or {})})
    answer = connection.getresponse()
    return answer.status, dict(answer.headers), answer.read()


def make_repo(hub: RunningHub, name: str) -> None:
    status, _, body = ask(hub, "POST", "/api/repos/create", json.dumps({"name": f"team/{name}"}).encode())
    assert status == 200, body


def commit(hub: RunningHub, name: str, *entries: Mapping[str, Any], parent: str | None = None) -> tuple[int, Any]:
    header = {"key": "header", "value": {"summary": "m", **({"parentCommit": parent} if parent else {})}}
    lines = "\n".join(json.dumps(entry) for entry in (header, *entries)).encode()
    status, _, body = ask(hub, "POST", f"/api/models/team/{name}/commit/main", lines)
    return status, json.loads(body)


def small(path: str, content: bytes = b"x") -> dict[str, Any]:
    value = {"path": path, "content": base64.b64encode(content).decode(), "encoding": "base64"}
    return {"key": "file", "value": value}


def files(hub: RunningHub, name: str) -> list[str]:
    _, _, body = ask(hub, "GET", f"/api/models/team/{name}/tree/main?recursive=true")
    return [entry["path"] for entry in json.loads(body)]


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "a//b",
        "a/./b",
        "..",
        "",
        "a\\..\\b",
        "a\x00b",
        "a\nb",
        ".git/config",
        "a" * 600,
    ],
)
def test_a_path_that_leaves_the_repository_is_refused(hub: RunningHub, path: str):
    name = "path" + hashlib.sha256(path.encode()).hexdigest()[:8]
    make_repo(hub, name)
    status, answer = commit(hub, name, small("good.txt"), small(path))
    assert status == 400
    assert "cannot be a file of a repository" in answer["error"]
    assert files(hub, name) == []


@pytest.mark.parametrize(
    "address",
    [
        "/team/%2e%2e/resolve/main/hub.sqlite",
        "/team/get/resolve/main/%2e%2e/%2e%2e/hub.sqlite",
        "/team/get/resolve/main/..%2f..%2fhub.sqlite",
        "/team/get/resolve/..%2f..%2f/hub.sqlite",
        "/../hub.sqlite",
        "/team/get/resolve/main//etc/passwd",
    ],
)
def test_an_address_that_climbs_reaches_no_file(hub: RunningHub, address: str):
    ask(hub, "POST", "/api/repos/create", json.dumps({"name": "team/get"}).encode())
    status, _, body = ask(hub, "GET", address)
    assert status in (400, 404)
    assert b"SQLite" not in body


@pytest.mark.parametrize("name", ["..", "a/b/c", "a..b", "-a", "a b", "x" * 200, "a.git", "\u00e4"])
def test_a_name_that_is_none_is_refused(hub: RunningHub, name: str):
    status, _, body = ask(hub, "POST", "/api/repos/create", json.dumps({"name": f"team/{name}"}).encode())
    assert status == 400
    assert "cannot name a repository" in json.loads(body)["error"]


def test_a_large_file_with_another_hash_or_size_is_not_kept(hub: RunningHub):
    make_repo(hub, "hashes")
    content = b"not what was announced"
    for sha256, size in (
        (hashlib.sha256(b"other").hexdigest(), len(content)),
        (hashlib.sha256(content).hexdigest(), 99),
    ):
        batch = {"operation": "upload", "objects": [{"oid": sha256, "size": size}]}
        _, _, body = ask(hub, "POST", "/team/hashes.git/info/lfs/objects/batch", json.dumps(batch).encode())
        href = json.loads(body)["objects"][0]["actions"]["upload"]["href"]
        status, _, body = ask(hub, "PUT", href.removeprefix(hub.address), content)
        assert status == 400
        assert "send it again" in json.loads(body)["error"]
        entry = {"key": "lfsFile", "value": {"path": "x.bin", "algo": "sha256", "oid": sha256, "size": size}}
        status, answer = commit(hub, "hashes", entry)
        assert status == 400
        assert "missing here" in answer["error"]
    assert list((hub.root / "uploads").iterdir()) == []


def test_an_upload_address_that_was_changed_or_made_up_is_refused(hub: RunningHub):
    make_repo(hub, "addresses")
    sha256 = hashlib.sha256(b"a").hexdigest()
    batch = {"operation": "upload", "objects": [{"oid": sha256, "size": 1}]}
    _, _, body = ask(hub, "POST", "/team/addresses.git/info/lfs/objects/batch", json.dumps(batch).encode())
    href = json.loads(body)["objects"][0]["actions"]["upload"]["href"].removeprefix(hub.address)
    other = hashlib.sha256(b"b").hexdigest()
    for address in (href.replace(sha256, other), href.replace("/1/", "/1000/"), href[:-2], href + "AA"):
        assert ask(hub, "PUT", address, b"b")[0] == 403
    assert ask(hub, "PUT", href, b"a" * 2)[0] == 413
    assert ask(hub, "PUT", href, b"a")[0] == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"key": "file"}', b'{"key": 1, "value": {}}', b"\xff\xfe", b"[" * 100_000],
    ids=["empty", "cut", "list", "null", "no value", "number", "no text", "deep"],
)
def test_a_body_that_is_no_commit_is_refused(hub: RunningHub, body: bytes):
    ask(hub, "POST", "/api/repos/create", json.dumps({"name": "team/bodies"}).encode())
    status, _, answer = ask(hub, "POST", "/api/models/team/bodies/commit/main", body)
    assert status == 400
    assert json.loads(answer)["error"].endswith(".")
    assert files(hub, "bodies") == []


def test_a_stale_parent_is_refused_and_the_present_one_taken(hub: RunningHub):
    make_repo(hub, "stale")
    _, first = commit(hub, "stale", small("a.txt"))
    _, second = commit(hub, "stale", small("b.txt"), parent=first["commitOid"])
    status, answer = commit(hub, "stale", small("c.txt"), parent=first["commitOid"])
    assert status == 412
    assert second["commitOid"][:12] in answer["error"]
    assert files(hub, "stale") == ["a.txt", "b.txt"]


def test_pushes_at_the_same_time_are_put_one_after_the_other(hub: RunningHub):
    make_repo(hub, "together")
    statuses: list[int] = []

    def push(number: int) -> None:
        statuses.append(commit(hub, "together", small(f"{number:02}.txt", b"%d" % number))[0])

    threads = [threading.Thread(target=push, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 20
    assert files(hub, "together") == [f"{number:02}.txt" for number in range(20)]


def test_a_file_is_given_in_ranges_and_not_again_to_whoever_has_it(hub: RunningHub):
    make_repo(hub, "ranges")
    commit(hub, "ranges", small("x.txt", b"0123456789"))
    status, headers, body = ask(hub, "GET", "/team/ranges/resolve/main/x.txt", headers={"Range": "bytes=3-5"})
    assert (status, body, headers["content-range"]) == (206, b"345", "bytes 3-5/10")
    assert ask(hub, "GET", "/team/ranges/resolve/main/x.txt", headers={"Range": "bytes=99-"})[0] == 416
    assert ask(hub, "GET", "/team/ranges/resolve/main/x.txt", headers={"If-None-Match": headers["etag"]})[0] == 304


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(hub: RunningHub):
    most = Limits().json
    status, _, body = ask(hub, "POST", "/api/repos/create", b"{" + b" " * most + b"}")
    assert status == 413
    assert f"{most:,}" in json.loads(body)["error"]


def test_a_hub_without_a_token_is_read_only(start_hub: Any, tmp_path: Path):
    hub = start_hub(tmp_path / "store", token=None)
    for method, path in (("POST", "/api/repos/create"), ("DELETE", "/api/repos/delete")):
        status, _, body = ask(hub, method, path, b'{"name": "team/x"}')
        assert status == 403
        assert "read-only" in json.loads(body)["error"]


def test_other_machines_are_let_in_with_a_token_only():
    require_token_for("127.0.0.1", Token(None), variable="V")
    require_token_for("0.0.0.0", Token("secret"), variable="V")
    with pytest.raises(UsageError, match="set V to a long secret"):
        require_token_for("0.0.0.0", Token(None), variable="V")


def test_a_folder_of_something_else_and_one_that_is_served_already_are_refused(tmp_path: Path):
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match="holds files that no hub wrote"):
        open_hub(tmp_path, token=Token(None), secret=b"s")
    hub = open_hub(tmp_path / "hub", token=Token(None), secret=b"s")
    with pytest.raises(UsageError, match="Another server has"):
        open_hub(tmp_path / "hub", token=Token(None), secret=b"s")
    hub.close()
    assert (tmp_path / "photo.jpg").read_bytes() == b"x"
