"""What a client with the token may change: repositories, branches and tags, uploads, commits."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ..web import Refusal, read_body, write_body
from .commit_body import CommitBody, read_commit
from .names import SHA256, RepoId, branch_name, file_path, repo_id
from .state import Hub, commit_of, hub_of, repo_of, require_write, revision_of

_API = "/api/models/{owner}/{name}"
UPLOAD_WITHIN_S = 24 * 3600


async def create_repo(request: Request) -> Response:
    """POST /api/repos/create."""
    require_write(request)
    body = await _json(request)
    if body.get("type") not in (None, "model"):
        raise Refusal(400, f"This hub holds encoders (models) only, not a {str(body['type'])[:50]}.")
    owner, name = body.get("organization") or "goodviews", str(body.get("name", ""))
    if "/" in name:
        owner, _, name = name.partition("/")
    repo = repo_id(str(owner), name)
    is_private = bool(body.get("private")) or body.get("visibility") == "private"
    is_new = await run_in_threadpool(hub_of(request).database.create_repo, repo, private=is_private)
    url = f"{_base(request)}/{repo}"
    if not is_new:
        return JSONResponse({"error": f"{repo} is there already.", "url": url}, 409)
    return JSONResponse({"url": url, "name": str(repo), "id": str(repo)})


async def delete_repo(request: Request) -> Response:
    """DELETE /api/repos/delete."""
    require_write(request)
    body = await _json(request)
    owner, name = body.get("organization") or "goodviews", str(body.get("name", ""))
    if "/" in name:
        owner, _, name = name.partition("/")
    repo = repo_id(str(owner), name)
    database = hub_of(request).database
    if database.repo(repo) is None:
        raise Refusal(404, f"This hub has no repository {repo}.", code="RepoNotFound")
    await run_in_threadpool(database.delete_repo, repo)
    return JSONResponse({})


async def settings(request: Request) -> Response:
    """PUT .../settings {"private": true} or {"visibility": "private"}."""
    require_write(request)
    repo, body = repo_of(request), await _json(request)
    is_private = bool(body["private"]) if "private" in body else body.get("visibility") == "private"
    await run_in_threadpool(hub_of(request).database.set_private, repo, is_private)
    return JSONResponse({"private": is_private})


async def validate_yaml(request: Request) -> Response:
    """POST /api/validate-yaml: whether the card's header can be read."""
    import yaml

    content = (await _json(request)).get("content", "")
    parts = str(content).split("---", 2)
    errors = []
    if len(parts) == 3 and not parts[0].strip():
        try:
            yaml.safe_load(parts[1])
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            errors.append({"message": f"The card's header is not YAML: {reason}"})
    return JSONResponse({"errors": errors, "warnings": []}, 400 if errors else 200)


async def branch(request: Request) -> Response:
    """POST .../branch/NAME: make one, at main or at {"startingPoint"}; DELETE: remove it."""
    require_write(request)
    repo, name = repo_of(request), branch_name(unquote(request.path_params["revision"]))
    if request.method == "DELETE":
        return await _delete_ref(request, repo, "branch", name)
    body = await _json(request)
    return await _add_ref(request, repo, "branch", name, str(body.get("startingPoint") or "main"))


async def tag(request: Request) -> Response:
    """POST .../tag/REVISION {"tag": NAME}: name a commit for good; DELETE .../tag/NAME."""
    require_write(request)
    repo, revision = repo_of(request), revision_of(request)
    if request.method == "DELETE":
        return await _delete_ref(request, repo, "tag", branch_name(revision))
    return await _add_ref(request, repo, "tag", branch_name(str((await _json(request)).get("tag", ""))), revision)


async def preupload(request: Request) -> Response:
    """POST .../preupload/REVISION: for each file, whether it goes into the commit or is uploaded by itself."""
    require_write(request)
    hub, repo = hub_of(request), repo_of(request)
    files = hub.database.files(repo, commit_of(request, repo, revision_of(request)).sha)
    answers = []
    for asked in _list_of(await _json(request), "files"):
        path, size = file_path(str(asked.get("path", ""))), asked.get("size", 0)
        if not isinstance(size, int) or size > hub.limits.upload:
            raise Refusal(413, f"{path} has {size} bytes; this hub takes files of up to {hub.limits.upload:,}.")
        present = files.get(path)
        mode = "lfs" if size >= hub.limits.small_file else "regular"
        known = {"oid": present.oid} if present is not None else {}
        answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, **known})
    return JSONResponse({"files": answers})


async def lfs_batch(request: Request) -> Response:
    """POST /OWNER/NAME.git/info/lfs/objects/batch: where each large file is to be uploaded; none where it is known."""
    require_write(request)
    hub, body = hub_of(request), await _json(request)
    name = unquote(request.path_params["name"])
    repo_id(unquote(request.path_params["owner"]), name.removesuffix(".git"))
    if body.get("operation") != "upload":
        raise Refusal(400, "Large files are downloaded from their address, not by git-lfs.")
    objects = []
    for asked in _list_of(body, "objects"):
        sha256, size = str(asked.get("oid", "")), asked.get("size")
        if not SHA256.fullmatch(sha256) or not isinstance(size, int) or not 0 <= size <= hub.limits.upload:
            raise Refusal(400, f"A large file is named by its sha256 and a size of up to {hub.limits.upload:,} bytes.")
        found: dict[str, Any] = {"oid": sha256, "size": size}
        if not hub.blobs.has(sha256):
            found["actions"] = {"upload": {"href": f"{_base(request)}/lfs/{_signed(hub, sha256, size)}"}}
        objects.append(found)
    return JSONResponse({"transfer": "basic", "objects": objects}, media_type="application/vnd.git-lfs+json")


async def lfs_upload(request: Request) -> Response:
    """PUT /lfs/EXPIRES/SIZE/SHA256/SIGNATURE: the address is the permission, since clients send no token here."""
    hub = hub_of(request)
    expires, size, sha256, signature = (
        request.path_params[part] for part in ("expires", "size", "sha256", "signature")
    )
    is_ours = hmac.compare_digest(signature, _signature(hub, f"{expires}/{size}/{sha256}"))
    if not is_ours or int(expires) < time.time():
        raise Refusal(403, "This upload address is not valid or no longer; ask for another one.")
    with hub.blobs.unfinished() as stream:
        await write_body(request, stream, most=int(size))
        await run_in_threadpool(hub.blobs.keep, stream, sha256=sha256, size=int(size))
    return Response(status_code=200)


async def commit(request: Request) -> Response:
    """POST .../commit/REVISION[?create_pr=1]: one atomic commit."""
    require_write(request)
    hub, repo = hub_of(request), repo_of(request)
    revision = revision_of(request)
    as_request = request.query_params.get("create_pr", "").lower() in ("1", "true")
    with hub.blobs.unfinished() as stream:
        await write_body(request, stream, most=hub.limits.commit)
        body = await run_in_threadpool(read_commit, stream, hub.blobs)
    made, number = await run_in_threadpool(_commit, hub, repo, revision, body, as_request)
    url = f"{_base(request)}/{repo}"
    answer = {"success": True, "commitOid": made.sha, "commitUrl": f"{url}/commit/{made.sha}", "hookOutput": ""}
    if number is not None:
        answer["pullRequestUrl"] = f"{url}/discussions/{number}"
    return JSONResponse(answer)


async def merge(request: Request) -> Response:
    """POST .../discussions/NUMBER/merge."""
    require_write(request)
    repo, number = repo_of(request), request.path_params["number"]
    made = await run_in_threadpool(hub_of(request).database.merge, repo, number)
    return JSONResponse({"commitOid": made.sha})


async def no_xet(request: Request) -> Response:
    """GET .../xet-write-token/REVISION: the client wants to upload by xet, which this hub does not have."""
    raise Refusal(
        501,
        "This file is too large to be sent inside a commit, and this hub has no xet storage: set HF_HUB_DISABLE_XET=1 "
        "and push again.",
    )


ROUTES: list[BaseRoute] = [
    Route("/api/repos/create", create_repo, methods=["POST"]),
    Route("/api/repos/delete", delete_repo, methods=["DELETE"]),
    Route("/api/validate-yaml", validate_yaml, methods=["POST"]),
    Route(_API + "/settings", settings, methods=["PUT"]),
    Route(_API + "/branch/{revision}", branch, methods=["POST", "DELETE"]),
    Route(_API + "/tag/{revision}", tag, methods=["POST", "DELETE"]),
    Route(_API + "/preupload/{revision}", preupload, methods=["POST"]),
    Route(_API + "/commit/{revision}", commit, methods=["POST"]),
    Route(_API + "/discussions/{number:int}/merge", merge, methods=["POST"]),
    Route(_API + "/xet-write-token/{revision}", no_xet),
    Route("/{owner}/{name}/info/lfs/objects/batch", lfs_batch, methods=["POST"]),
    Route("/lfs/{expires:int}/{size:int}/{sha256}/{signature}", lfs_upload, methods=["PUT"]),
]


def _commit(hub: Hub, repo: RepoId, revision: str, body: CommitBody, as_request: bool) -> Any:
    return hub.database.commit(
        repo,
        revision.removeprefix("refs/heads/"),
        body.change,
        title=body.title,
        message=body.message,
        parent=body.parent,
        as_pull_request=as_request,
    )


async def _add_ref(request: Request, repo: RepoId, kind: str, name: str, revision: str) -> Response:
    sha = commit_of(request, repo, revision).sha
    if not await run_in_threadpool(hub_of(request).database.add_ref, repo, kind, name, sha):
        raise Refusal(409, f"{repo} has a branch or tag {name} already.")
    return JSONResponse({"name": name, "targetCommit": sha})


async def _delete_ref(request: Request, repo: RepoId, kind: str, name: str) -> Response:
    if name == "main":
        raise Refusal(400, "The branch main stays as long as its repository.")
    if not await run_in_threadpool(hub_of(request).database.delete_ref, repo, kind, name):
        raise Refusal(404, f"{repo} has no {kind} {name}.", code="RevisionNotFound")
    return JSONResponse({})


async def _json(request: Request) -> dict[str, Any]:
    body = await read_body(request, most=hub_of(request).limits.json)
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise Refusal(400, "The body is not JSON.") from None
    if not isinstance(value, dict):
        raise Refusal(400, "The body is not a JSON object.")
    return value


def _list_of(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    values = body.get(name)
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise Refusal(400, f"The body has no list {name!r}.")
    return values


def _base(request: Request) -> str:
    """This server's address as the client wrote it."""
    return str(request.base_url).rstrip("/")


def _signed(hub: Hub, sha256: str, size: int) -> str:
    words = f"{int(time.time()) + UPLOAD_WITHIN_S}/{size}/{sha256}"
    return f"{words}/{_signature(hub, words)}"


def _signature(hub: Hub, words: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(hub.secret, words.encode(), hashlib.sha256)).decode().rstrip("=")
