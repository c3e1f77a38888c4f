"""An encoder's files from a Hub repository into the client's cache: only those needed, all of one commit."""

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import hf_hub_download, snapshot_download

from ..errors import ArtifactError
from .client import TIMEOUT_S, hub_client, is_offline, one_sentence
from .names import Repository

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # the first that a repository has; .bin is read without pickles


def fetch_encoder(
    repository: Repository,
    *,
    cache_dir: Path | None = None,
    local_files_only: bool = False,
    token: str | None = None,
) -> Path:
    """The folder in the cache that holds a repository's config.json and weights.

    Nothing else is downloaded, and what is cached for the revision's commit is not asked for again. The commit is asked
    once; every file then belongs to it, whatever is pushed meanwhile.

    Args:
        cache_dir: instead of the client's own (HF_HUB_CACHE).
        local_files_only: what is cached, or an error; as with HF_HUB_OFFLINE=1.

    Raises:
        ArtifactError: the repository cannot be read, or holds no encoder.
    """
    with one_sentence(repository, doing="could not be read"):
        if local_files_only or is_offline():
            return _cached(repository, cache_dir)
        info = hub_client(token).model_info(repository.id, revision=repository.revision, timeout=TIMEOUT_S)
        names = {sibling.rfilename for sibling in info.siblings or ()}
        weights = next((name for name in WEIGHTS if name in names), None)
        if CONFIG not in names or weights is None:
            raise ArtifactError(_no_encoder(repository, sorted(names)))
        folders = {
            Path(
                hf_hub_download(
                    repository.id, name, revision=info.sha or repository.revision, cache_dir=cache_dir, token=token
                )
            ).parent
            for name in (CONFIG, weights)
        }
        (folder,) = folders
        _name_commit(repository, folder)
        return folder


def fetch_all(repository: Repository, into: Path, *, token: str | None = None) -> None:
    """Every file of a repository into a folder.

    Raises:
        ArtifactError: the repository cannot be read, or holds no encoder.
    """
    with one_sentence(repository, doing="could not be read"):
        info = hub_client(token).model_info(repository.id, revision=repository.revision, timeout=TIMEOUT_S)
        names = sorted(sibling.rfilename for sibling in info.siblings or ())
        if CONFIG not in names or not set(WEIGHTS) & set(names):
            raise ArtifactError(_no_encoder(repository, names))
        snapshot_download(repository.id, revision=info.sha or repository.revision, local_dir=into, token=token)


def _cached(repository: Repository, cache_dir: Path | None) -> Path:
    options = {"revision": repository.revision, "cache_dir": cache_dir, "local_files_only": True}
    config = Path(hf_hub_download(repository.id, CONFIG, **options))  # type: ignore[arg-type]
    if not any((config.parent / name).is_file() for name in WEIGHTS):
        raise ArtifactError(f"The cache holds no weights of {repository}; fetch it once online.")
    return config.parent


def _name_commit(repository: Repository, folder: Path) -> None:
    """Note which commit the revision was last, as the client does, so that it is found without the network."""
    if repository.revision != folder.name:
        note = folder.parent.parent / "refs" / repository.revision
        note.parent.mkdir(parents=True, exist_ok=True)
        if not note.is_file() or note.read_text("utf-8") != folder.name:
            note.write_text(folder.name, "utf-8")


def _no_encoder(repository: Repository, names: Sequence[str]) -> str:
    shown = ", ".join(names[:6]) + (" ..." if len(names) > 6 else "") or "nothing"
    return (
        f"{repository} is no encoder that can be loaded: it needs {CONFIG} in timm's form and {WEIGHTS[0]}, and holds "
        f"{shown}. A checkpoint of another form can be downloaded and read with `goodviews hub import FILE --out E`."
    )
