"""An encoder folder to a Hub repository, in one commit: its files are all there afterwards, or none.

Card, picture and .eval_results are made for the repository, so that snippets name it; the folder stays as it is.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete

from ..card_files import CARD, EVAL_RESULTS, made_files
from ..encoder_folder import read_config, save
from ..errors import UsageError
from ..files.overwrite import MARKER
from ..reports.card import Published
from .client import TIMEOUT_S, endpoint, hub_client, one_sentence
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
        card: its README.md.
        removed: files of an earlier push that the folder has no more.
        address: of the commit or the pull request; None of a dry run.
    """

    repository: Repository
    files: dict[str, int]
    card: str
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
    licence: str | None = None,
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
        licence: of the weights, in place of what the folder says.

    Raises:
        ArtifactError: the folder is no encoder, or the Hub refuses.
        UsageError: a revision that is a commit cannot be pushed to.
    """
    config = read_config(folder)
    contents = _contents(folder, config, repository, licence)
    files = {name: len(what) if isinstance(what, bytes) else what.stat().st_size for name, what in contents.items()}
    shown = Push(repository, files, _bytes(contents[CARD]).decode())
    if dry_run:
        return shown
    if len(repository.revision) == 40 and set(repository.revision) <= set("0123456789abcdef"):
        raise UsageError(f"{repository.revision[:12]}... is a commit, which never changes; push to a branch.")
    client = hub_client(token)
    with one_sentence(repository, doing="could not be pushed to"):
        client.create_repo(repository.id, private=private, exist_ok=True)
        if repository.revision != "main" and not client.revision_exists(repository.id, repository.revision):
            client.create_branch(repository.id, branch=repository.revision, exist_ok=True)
        info = client.model_info(repository.id, revision=repository.revision, timeout=TIMEOUT_S)
        present = [sibling.rfilename for sibling in info.siblings or ()]
        removed = tuple(name for name in present if _is_published(name) and name not in contents)
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *(
                CommitOperationAdd(name, what if isinstance(what, bytes) else str(what))
                for name, what in contents.items()
            ),
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
    return replace(shown, removed=removed, address=made.pr_url or made.commit_url)


def push_encoder(
    encoder: "Encoder",
    repo: str,
    *,
    revision: str | None,
    private: bool,
    create_pr: bool,
    message: str | None,
    licence: str | None,
    token: str | None,
) -> str:
    """`push` for an encoder in memory; gives the address. See `Encoder.push`."""
    repository = require_repository(repo, revision=revision)
    with tempfile.TemporaryDirectory() as folder:
        saved = save(encoder, Path(folder) / "encoder")
        done = push(
            saved, repository, private=private, create_pr=create_pr, message=message, licence=licence, token=token
        )
    return str(done.address)


def _contents(
    folder: Path, config: dict[str, Any], repository: Repository, licence: str | None
) -> dict[str, Path | bytes]:
    """What is published, by its path in the repository: files of the folder, and those made for the repository."""
    contents: dict[str, Path | bytes] = {
        name: path for name, path in _paths(folder) if not name.startswith(f"{EVAL_RESULTS}/")
    }
    if licence is not None:
        config["goodviews"]["licence"] = config["pretrained_cfg"]["license"] = licence
        contents["config.json"] = (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()
    return contents | made_files(folder, config, published=Published(repository.id, endpoint()))


def _bytes(what: Path | bytes) -> bytes:
    return what if isinstance(what, bytes) else what.read_bytes()


def _paths(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file that is published, by its path in the repository."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and path.name != MARKER and _is_published(name):
            yield name, path


def _is_published(name: str) -> bool:
    top, _, rest = name.partition("/")
    return (top in FOLDERS and bool(rest) and not rest.endswith(".partial")) or name in PUBLISHED


def sizes(files: dict[str, int]) -> Sequence[tuple[str, str]]:
    """Names and sizes as people read them, and their sum."""
    rows = [(name, f"{size / 1e6:,.2f} MB") for name, size in files.items()]
    return [*rows, ("in all", f"{sum(files.values()) / 1e6:,.2f} MB")]
