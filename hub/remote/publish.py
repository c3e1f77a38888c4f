"""An encoder folder to a Hub repository, in one commit: its files are all there afterwards, or none."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import CommitOperationAdd, CommitOperationDelete

from ..encoder_folder import read_config, save
from ..errors import UsageError
from .client import TIMEOUT_S, hub_client, one_sentence
from .names import Repository, require_repository

if TYPE_CHECKING:
    from ..encoder import Encoder

# What belongs to a published encoder. training/ (gigabytes of optimizer state) is private unless asked for.
PUBLISHED = ("config.json", "model.safetensors", "preprocessor_config.json", "README.md", "LICENSE")
FOLDERS = ("reports", ".eval_results", "onnx", "figures")


@dataclass(frozen=True)
class Push:
    """What a push does, or would do.

    Attributes:
        files: path in the repository -> bytes.
        removed: files of an earlier push that the folder has no more.
        address: of the commit or the pull request; None of a dry run.
    """

    repository: Repository
    files: dict[str, int]
    removed: tuple[str, ...] = field(default=())
    address: str | None = None


def push(
    folder: Path,
    repository: Repository,
    *,
    private: bool = False,
    create_pr: bool = False,
    dry_run: bool = False,
    message: str | None = None,
    token: str | None = None,
) -> Push:
    """Publish an encoder folder. The repository is made where it is missing.

    A push that is interrupted leaves the repository as it was, since its one commit comes last; repeated, it sends only
    what is not there yet.

    Args:
        private: whether a new repository is private; of one that exists nothing changes.
        create_pr: leave the change as a pull request.
        dry_run: change nothing and ask nobody: only say which files would go.
        message: of the commit.

    Raises:
        ArtifactError: the folder is no encoder, or the Hub refuses.
        UsageError: a revision that is a commit cannot be pushed to.
    """
    config = read_config(folder)
    paths = dict(_paths(folder))
    files = {name: path.stat().st_size for name, path in paths.items()}
    if dry_run:
        return Push(repository, files)
    if len(repository.revision) == 40 and set(repository.revision) <= set("0123456789abcdef"):
        raise UsageError(f"{repository.revision[:12]}... is a commit, which never changes; push to a branch.")
    client = hub_client(token)
    with one_sentence(repository, doing="could not be pushed to"):
        client.create_repo(repository.id, private=private, exist_ok=True)
        if repository.revision != "main" and not client.revision_exists(repository.id, repository.revision):
            client.create_branch(repository.id, branch=repository.revision, exist_ok=True)
        info = client.model_info(repository.id, revision=repository.revision, timeout=TIMEOUT_S)
        present = [sibling.rfilename for sibling in info.siblings or ()]
        removed = tuple(name for name in present if _is_published(name) and name not in paths)
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *(CommitOperationAdd(name, str(path)) for name, path in paths.items()),
            *(CommitOperationDelete(name) for name in removed),
        ]
        made = client.create_commit(
            repository.id,
            operations,
            commit_message=message or f"Encoder {config['goodviews'].get('name', folder.name)}",
            revision=repository.revision,
            create_pr=create_pr,
            parent_commit=None if create_pr else info.sha,
        )
    return Push(repository, files, removed, made.pr_url or made.commit_url)


def push_encoder(
    encoder: "Encoder",
    repo: str,
    *,
    revision: str | None,
    private: bool,
    create_pr: bool,
    message: str | None,
    token: str | None,
) -> str:
    """`push` for an encoder in memory; gives the address. See `Encoder.push`."""
    repository = require_repository(repo, revision=revision)
    with tempfile.TemporaryDirectory() as folder:
        saved = save(encoder, Path(folder) / "encoder")
        done = push(saved, repository, private=private, create_pr=create_pr, message=message, token=token)
    return str(done.address)


def _paths(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file that is published, by its path in the repository."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and _is_published(name):
            yield name, path


def _is_published(name: str) -> bool:
    top, _, rest = name.partition("/")
    return (top in FOLDERS and bool(rest) and not rest.endswith(".partial")) or name in PUBLISHED


def sizes(files: dict[str, int]) -> Sequence[tuple[str, str]]:
    """Names and sizes as people read them, and their sum."""
    rows = [(name, f"{size / 1e6:,.2f} MB") for name, size in files.items()]
    return [*rows, ("in all", f"{sum(files.values()) / 1e6:,.2f} MB")]
