"""What a person sees of the hub: the encoders, one encoder's card and files, and their reports side by side."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markdown_it import MarkdownIt
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from ..comparison import files as comparison_files
from ..comparison.tables import compare, read_runs
from ..errors import GoodviewsError
from ..output.templates import fill_template
from ..reports.report import Report, load_report
from ..web import SAFE_PAGE, Refusal
from .database import File, Repo
from .names import RepoId, repo_id
from .state import Hub, commit_of, hub_of, may_read, repo_of, revision_of

LARGEST_SHOWN = 2 * 2**20  # bytes of a card, a config or a report that a page reads
MOST_COMPARED = 50


@dataclass(frozen=True)
class Listed:
    """A line of the home page."""

    repo: Repo
    changed: str
    architecture: str
    features: str
    megabytes: float
    reports: tuple[Report, ...]


def home(request: Request) -> Response:
    """GET /: every encoder that may be read."""
    hub = hub_of(request)
    listed = [_listed(hub, repo) for repo in hub.database.repos() if may_read(request, repo)]
    return _page("home.html.j2", listed=listed, address=str(request.base_url).rstrip("/"))


def encoder(request: Request) -> Response:
    """GET /OWNER/NAME[/tree/REVISION]: the card, the files, how to load it."""
    hub, repo = hub_of(request), repo_of(request)
    revision = revision_of(request)
    commit = commit_of(request, repo, revision)
    files = hub.database.files(repo, commit.sha)
    row = hub.database.repo(repo)
    assert row is not None
    return _page(
        "encoder.html.j2",
        listed=_listed(hub, row, commit.sha),
        card=_card(_text(hub, files.get("README.md")), f"/{repo}/resolve/{commit.sha}/"),
        files=list(files.values()),
        history=hub.database.history(repo, commit.sha)[:20],
        revision=revision,
        sha=commit.sha,
        quote=quote,
        address=str(request.base_url).rstrip("/"),
    )


def commit(request: Request) -> Response:
    """GET /OWNER/NAME/commit/SHA, the address that a push gives: the encoder as it was then."""
    return _elsewhere(request, f"tree/{request.path_params['sha']}")


def pull_request(request: Request) -> Response:
    """GET /OWNER/NAME/discussions/NUMBER, the address that a pull request gives: the encoder as it would be."""
    return _elsewhere(request, f"tree/refs%2Fpr%2F{request.path_params['number']}")


def file(request: Request) -> Response:
    """GET /OWNER/NAME/blob/REVISION/FILE, as cards link to reports: the file."""
    return _elsewhere(request, f"resolve/{request.path_params['revision']}/{request.path_params['file']}")


async def comparison(request: Request) -> Response:
    """GET /compare?with=OWNER/NAME&with=...: their reports as tables and a plot, as `goodviews compare` makes them."""
    names = request.query_params.getlist("with")
    if not 1 <= len(names) <= MOST_COMPARED:
        raise Refusal(400, f"Choose 1 to {MOST_COMPARED} encoders to compare.")
    return await run_in_threadpool(_comparison, request, names)


ROUTES: list[BaseRoute] = [
    Route("/", home),
    Route("/compare", comparison),
    Route("/{owner}/{name}", encoder),
    Route("/{owner}/{name}/tree/{revision}", encoder),
    Route("/{owner}/{name}/commit/{sha}", commit),
    Route("/{owner}/{name}/discussions/{number:int}", pull_request),
    Route("/{owner}/{name}/blob/{revision}/{file:path}", file),
]


def _elsewhere(request: Request, place: str) -> Response:
    """Another page of the same repository."""
    return RedirectResponse(f"/{repo_of(request)}/{place}", 307)


def _comparison(request: Request, names: list[str]) -> Response:
    hub = hub_of(request)
    with tempfile.TemporaryDirectory() as name:
        places = []
        for number, asked in enumerate(names):
            owner, _, short = asked.partition("/")
            repo = repo_id(owner, short)
            row = hub.database.repo(repo)
            if row is None or not may_read(request, row):
                raise Refusal(404, f"This hub has no repository {repo}.", code="RepoNotFound")
            places.append(_reports_on_disk(hub, repo, Path(name) / f"{number}-{short}"))
        try:
            found = compare(read_runs([place for place in places if place is not None]))
            comparison_files.write(found, Path(name) / "out")
        except GoodviewsError as error:
            raise Refusal(400, f"These encoders cannot be compared: {error}") from None
        return HTMLResponse((Path(name) / "out" / "comparison.html").read_text("utf-8"), headers=SAFE_PAGE)


def _reports_on_disk(hub: Hub, repo: RepoId, folder: Path) -> Path | None:
    """An encoder's reports as a folder that comparisons read; None if it has none."""
    files = _files_at_main(hub, repo)
    reports = {path: file for path, file in files.items() if _is_report(path)}
    for path, file in reports.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_text(hub, file), "utf-8")
    return folder if reports else None


def _files_at_main(hub: Hub, repo: RepoId) -> dict[str, File]:
    commit = hub.database.resolve(repo, "main")
    return {} if commit is None else hub.database.files(repo, commit.sha)


def _listed(hub: Hub, repo: Repo, sha: str | None = None) -> Listed:
    owner, _, name = repo.id.partition("/")
    commit = hub.database.resolve(RepoId(owner, name), sha or "main")
    assert commit is not None
    files = hub.database.files(RepoId(owner, name), commit.sha)
    config = _config(_text(hub, files.get("config.json")))
    return Listed(
        repo,
        commit.created[:16].replace("T", " "),
        str(config.get("architecture", "not an encoder yet")),
        str(config.get("num_features", "")),
        sum(file.size for file in files.values()) / 1e6,
        tuple(_reports(hub, files)),
    )


def _reports(hub: Hub, files: dict[str, File]) -> Iterator[Report]:
    for path, file in files.items():
        if _is_report(path) and file.size <= LARGEST_SHOWN:
            try:
                yield load_report(hub.blobs.path(file.blob))
            except GoodviewsError:
                continue  # somebody else's file: the list of files still shows it


def _is_report(path: str) -> bool:
    return path.startswith("reports/") and path.endswith(".json")


def _config(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(hub: Hub, file: File | None) -> str:
    """What a small text file says; nothing of one that is too large to be shown."""
    if file is None or file.size > LARGEST_SHOWN:
        return ""
    return hub.blobs.path(file.blob).read_text("utf-8", errors="replace")


def _card(markdown: str, base: str) -> str:
    """The card as HTML. Tags in it are shown as text, and its links may only be web addresses or files beside it."""
    parts = markdown.split("---", 2)
    body = parts[2] if len(parts) == 3 and not parts[0].strip() else markdown
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(body)
    for token in (inner for outer in tokens for inner in (outer.children or ())):
        for name in ("src", "href"):
            place = str(token.attrs.get(name, ""))
            if place and "://" not in place and not place.startswith(("#", "/", "mailto:")):
                token.attrs[name] = base + place
    html: str = parser.renderer.render(tokens, parser.options, {})
    return html


def _page(template: str, **values: object) -> Response:
    return HTMLResponse(fill_template("goodviews.hub.server", template, values), headers=SAFE_PAGE)
