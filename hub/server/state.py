"""What every request of the private hub is answered from, and who may ask what."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from filelock import FileLock, Timeout
from starlette.requests import Request

from ..errors import UsageError
from ..files.disk_errors import disk_errors
from ..web import Refusal, Token
from .blobs import Blobs
from .database import Commit, Database, Repo
from .names import RepoId, repo_id

VARIABLE = "GOODVIEWS_HUB_TOKEN"


@dataclass(frozen=True)
class Limits:
    """The most that one request may bring, in bytes.

    small_file: from here on a file is to be uploaded by itself (LFS) and not inside a commit. Clients that have hf-xet
        and were not told HF_HUB_DISABLE_XET=1 cannot do that, so it lies above a ResNet-50's weights.
    """

    small_file: int = 256 * 2**20
    commit: int = 1024 * 2**20
    upload: int = 20 * 2**30
    json: int = 4 * 2**20


@dataclass(frozen=True)
class Hub:
    """A private hub's folder, opened by this process alone."""

    root: Path
    database: Database
    blobs: Blobs
    token: Token
    limits: Limits
    lock: FileLock
    secret: bytes  # signs the addresses that large files are uploaded to

    def close(self) -> None:
        self.lock.release()


def open_hub(root: Path, *, token: Token, secret: bytes, limits: Limits | None = None) -> Hub:
    """Open the folder of a hub, or make one in an empty folder; what a killed server left unfinished is removed.

    Raises:
        UsageError: the folder holds something else, or another server has it.
    """
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root} is a file; give a folder for the hub.")
    if root.is_dir() and any(root.iterdir()) and not (root / "hub.sqlite").is_file():
        raise UsageError(
            f"{root} holds files that no hub wrote; give an empty folder, or one that a hub made. Encoders get "
            "into a hub by: goodviews hub push ENCODER OWNER/NAME."
        )
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / "hub.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise UsageError(f"Another server has {root} open; stop it first, or give another folder.") from None
    blobs = Blobs(root)
    blobs.remove_unfinished()
    database = Database(root)
    blobs.remove_others(database.blobs())
    return Hub(root, database, blobs, token, limits or Limits(), lock, secret)


def hub_of(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


def require_write(request: Request) -> None:
    """Raises:
    Refusal: 401, no token or a wrong one; 403, the server takes none.
    """
    token = hub_of(request).token
    if token.is_sent_by(request.headers):
        return
    if token.secret is None:
        raise Refusal(403, f"This hub is read-only; start it with {VARIABLE} or --token to allow writing.")
    raise Refusal(401, "Invalid credentials in Authorization header: writing needs the hub's token (HF_TOKEN).")


def repo_of(request: Request) -> RepoId:
    """The repository that the address names, there and open to whoever asks; a private one is as good as absent.

    Raises:
        Refusal: 404, there is none.
    """
    repo = repo_id(unquote(request.path_params["owner"]), unquote(request.path_params["name"]))
    row = hub_of(request).database.repo(repo)
    if row is None or not may_read(request, row):
        raise Refusal(404, f"This hub has no repository {repo}.", code="RepoNotFound")
    return repo


def may_read(request: Request, repo: Repo) -> bool:
    return not repo.private or hub_of(request).token.is_sent_by(request.headers)


def commit_of(request: Request, repo: RepoId, revision: str) -> Commit:
    """Raises:
    Refusal: 404, the repository has no such revision.
    """
    commit = hub_of(request).database.resolve(repo, revision)
    if commit is None:
        raise Refusal(404, f"{repo} has no revision {revision[:100]}.", code="RevisionNotFound")
    return commit


def revision_of(request: Request, default: str = "main") -> str:
    """The revision in the address; a slash within one arrives quoted."""
    return unquote(request.path_params.get("revision", default))
