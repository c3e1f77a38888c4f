"""What a client may ask of a repository: lists, a revision's files, history, and the files themselves."""

import json
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ..web import Refusal, read_body
from .database import Commit, File, Repo
from .names import RepoId, file_path
from .state import commit_of, hub_of, may_read, repo_of, revision_of

_API = "/api/models/{owner}/{name}"
_TREE_PAGE = 1000


def models(request: Request) -> Response:
    """GET /api/models?search=&author=&limit=: the repositories that whoever asks may read."""
    hub, query = hub_of(request), request.query_params
    search, author = query.get("search", "").lower(), query.get("author")
    found = [
        repo
        for repo in hub.database.repos()
        if may_read(request, repo) and search in repo.id.lower() and author in (None, repo.id.partition("/")[0])
    ]
    limit = query.get("limit", "")
    listed = found[: int(limit)] if limit.isdecimal() else found
    return JSONResponse([_summary(request, repo) for repo in listed])


def model(request: Request) -> Response:
    """GET /api/models/OWNER/NAME[/revision/REVISION]."""
    repo = repo_of(request)
    row = hub_of(request).database.repo(repo)
    assert row is not None
    return JSONResponse(_info(row, commit_of(request, repo, revision_of(request)), _files(request, repo)))


def tree(request: Request) -> Response:
    """GET .../tree/REVISION[/FOLDER]?recursive=: files, and folders unless recursive; 1,000 a page."""
    repo = repo_of(request)
    folder = unquote(request.path_params.get("folder", "")).strip("/")
    inside = f"{file_path(folder)}/" if folder else ""
    files = [file for path, file in _files(request, repo).items() if path.startswith(inside)]
    if folder and not files:
        raise Refusal(404, f"{repo} has no folder {folder}.", code="EntryNotFound")
    is_recursive = request.query_params.get("recursive", "").lower() in ("1", "true")
    entries = [_entry(file) for file in files] if is_recursive else _one_level(files, inside)
    start = request.query_params.get("cursor", "0")
    first = int(start) if start.isdecimal() else 0
    headers = {}
    if first + _TREE_PAGE < len(entries):
        following = request.url.include_query_params(cursor=first + _TREE_PAGE)
        headers["Link"] = f'<{following}>; rel="next"'
    return JSONResponse(entries[first : first + _TREE_PAGE], headers=headers)


async def paths_info(request: Request) -> Response:
    """POST .../paths-info/REVISION {"paths": [...]}: those of the paths that are files."""
    repo = repo_of(request)
    body = await read_body(request, most=hub_of(request).limits.json)
    paths = _requested_paths(body, request.headers.get("content-type", ""))
    files = _files(request, repo)
    return JSONResponse([_entry(files[path]) for path in paths if path in files])


def refs(request: Request) -> Response:
    """GET .../refs."""
    repo = repo_of(request)
    names: dict[str, list[dict[str, str]]] = {"branches": [], "converts": [], "tags": [], "pullRequests": []}
    places = {"branch": ("branches", "refs/heads/"), "tag": ("tags", "refs/tags/"), "pr": ("pullRequests", "")}
    for kind, name, sha in hub_of(request).database.refs(repo):
        place, prefix = places[kind]
        names[place].append({"name": name, "ref": prefix + name, "targetCommit": sha})
    return JSONResponse(names)


def commits(request: Request) -> Response:
    """GET .../commits/REVISION: newest first."""
    repo = repo_of(request)
    history = hub_of(request).database.history(repo, commit_of(request, repo, revision_of(request)).sha)
    return JSONResponse(
        [
            {"id": one.sha, "title": one.title, "message": one.message, "date": one.created, "authors": []}
            for one in history
        ]
    )


def resolve(request: Request) -> Response:
    """GET|HEAD /OWNER/NAME/resolve/REVISION/FILE: the file, in ranges if asked for."""
    hub, repo = hub_of(request), repo_of(request)
    commit = commit_of(request, repo, revision_of(request))
    path = unquote(request.path_params["file"])
    file = hub.database.file(repo, commit.sha, path)
    if file is None:
        raise Refusal(
            404,
            f"{repo} has no file {path[:200]} at {commit.sha[:12]}.",
            code="EntryNotFound",
            headers={"X-Repo-Commit": commit.sha},
        )
    etag = f'"{file.oid}"'
    headers = {
        "ETag": etag,
        "X-Repo-Commit": commit.sha,
        "X-Linked-Etag": etag,
        "X-Linked-Size": str(file.size),
        "Cache-Control": "no-cache",
        # A file that somebody pushed is never a page of this server.
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(path.rpartition('/')[2])}",
    }
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    if request.method == "GET" and path == "config.json":  # what is asked for once a load
        hub.database.count_download(repo)
    return FileResponse(hub.blobs.path(file.blob), headers=headers, media_type=_media_type(path))


def whoami(request: Request) -> Response:
    """GET /api/whoami-v2: that the token is right; the hub knows no persons."""
    if not hub_of(request).token.is_sent_by(request.headers):
        raise Refusal(401, "Invalid credentials in Authorization header: the token is not this hub's.")
    access = {"displayName": "goodviews hub", "role": "write"}
    return JSONResponse(
        {"type": "user", "name": "goodviews", "orgs": [], "auth": {"type": "access_token", "accessToken": access}}
    )


ROUTES: list[BaseRoute] = [
    Route("/api/models", models),
    Route("/api/whoami-v2", whoami),
    Route(_API, model),
    Route(_API + "/revision/{revision}", model),
    Route(_API + "/tree/{revision}", tree),
    Route(_API + "/tree/{revision}/{folder:path}", tree),
    Route(_API + "/paths-info/{revision}", paths_info, methods=["POST"]),
    Route(_API + "/refs", refs),
    Route(_API + "/commits/{revision}", commits),
    Route("/{owner}/{name}/resolve/{revision}/{file:path}", resolve),
]


def _files(request: Request, repo: RepoId) -> dict[str, File]:
    return hub_of(request).database.files(repo, commit_of(request, repo, revision_of(request)).sha)


def _summary(request: Request, repo: Repo) -> dict[str, Any]:
    owner, _, name = repo.id.partition("/")
    commit = commit_of(request, RepoId(owner, name), "main")
    return _info(repo, commit, None)


def _info(repo: Repo, commit: Commit, files: dict[str, File] | None) -> dict[str, Any]:
    siblings = {} if files is None else {"siblings": [{"rfilename": path} for path in files]}
    return {
        "id": repo.id,
        "modelId": repo.id,
        "author": repo.id.partition("/")[0],
        "sha": commit.sha,
        "lastModified": commit.created,
        "createdAt": repo.created,
        "private": repo.private,
        "gated": False,
        "disabled": False,
        "downloads": repo.downloads,
        "likes": 0,
        "tags": ["goodviews"],
        "library_name": "timm",
        "pipeline_tag": "image-feature-extraction",
        **siblings,
    }


def _entry(file: File) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": file.path, "size": file.size, "oid": file.oid}
    if file.lfs:
        entry["lfs"] = {"oid": file.blob, "size": file.size, "pointerSize": 134}
    return entry


def _one_level(files: list[File], inside: str) -> list[dict[str, Any]]:
    folders: dict[str, None] = {}
    here = []
    for file in files:
        rest = file.path.removeprefix(inside)
        if "/" in rest:
            folders[inside + rest.partition("/")[0]] = None
        else:
            here.append(_entry(file))
    return [{"type": "directory", "path": path, "size": 0, "oid": "0" * 40} for path in folders] + here


def _requested_paths(body: bytes, content_type: str) -> list[str]:
    """Clients send a form or JSON."""
    try:
        if "json" in content_type:
            paths = json.loads(body)["paths"]
        else:
            paths = parse_qs(body.decode())["paths"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refusal(400, "The body names no paths.") from None
    paths = [paths] if isinstance(paths, str) else paths
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise Refusal(400, "The body names no paths.")
    return paths


def _media_type(path: str) -> str:
    if path.endswith((".png", ".jpg", ".jpeg")):  # no picture of these kinds runs anything
        return "image/png" if path.endswith(".png") else "image/jpeg"
    if path.endswith(".json"):
        return "application/json"
    return (
        "text/plain; charset=utf-8" if path.endswith((".md", ".txt", ".yaml", ".yml")) else "application/octet-stream"
    )
