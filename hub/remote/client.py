"""The Hugging Face client, and its failures as one sentence each."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # whichever of its versions the client uses

from ..errors import ArtifactError, GoodviewsError
from ..reports.provenance import version
from .names import Repository

TIMEOUT_S = 10.0  # for an answer to a question; files take as long as they take


def hub_client(token: str | None = None) -> HfApi:
    """The client for HF_ENDPOINT, with the given token or the one in HF_TOKEN or its store."""
    return HfApi(token=token, library_name="goodviews", library_version=version())


def endpoint() -> str:
    """The address of the Hub in use: HF_ENDPOINT, or huggingface.co."""
    return str(constants.ENDPOINT)


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids the network."""
    return bool(constants.HF_HUB_OFFLINE)


@contextmanager
def one_sentence(repository: Repository, *, doing: str) -> Iterator[None]:
    """Turn what the client raises into a GoodviewsError that says what was found and what to do.

    Args:
        doing: in the sentence: "could not be read", "could not be pushed to".
    """
    retries = logging.getLogger("huggingface_hub")
    level = retries.level
    retries.setLevel(logging.ERROR)  # the sentence says it once; the client warns at each retry
    try:
        yield
    except GoodviewsError:
        raise
    except (OSError, ValueError, EntryNotFoundError, httpx.HTTPError) as error:
        raise ArtifactError(f"{repository} {doing}: {_reason(error, repository)}") from error
    finally:
        retries.setLevel(level)


def _reason(error: BaseException, repository: Repository) -> str:
    where = endpoint()
    if isinstance(error, GatedRepoError):
        return f"it is gated; ask for access at {where}/{repository.id}, then set HF_TOKEN."
    if isinstance(error, RepositoryNotFoundError):
        return f"{where} has no such repository, or it is private; check the name and HF_TOKEN."
    if isinstance(error, RevisionNotFoundError):
        return f"it has no revision {repository.revision}; its page {where}/{repository.id} lists branches and tags."
    if isinstance(error, LocalTokenNotFoundError):
        return "no token was found; log in with `hf auth login`, or set HF_TOKEN."
    if isinstance(error, OfflineModeIsEnabled | LocalEntryNotFoundError):
        return "it is not in the cache, and the network must not be used (HF_HUB_OFFLINE or local_files_only)."
    if isinstance(error, EntryNotFoundError):
        return "a file of it is missing; the repository may have changed meanwhile, try again."
    if isinstance(error, HFValidationError):
        return f"this is no repository name ({str(error).splitlines()[0]})."
    if isinstance(error, HfHubHTTPError):
        return _reason_of_status(error)
    if isinstance(error, httpx.HTTPError):
        return f"{where} cannot be reached ({str(error) or type(error).__name__}); check HF_ENDPOINT and the network."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} ({error.filename}); free space or set HF_HOME to another place."
    return f"{str(error).splitlines()[0] if str(error) else type(error).__name__}."


def _reason_of_status(error: HfHubHTTPError) -> str:
    status = error.response.status_code
    message = (error.server_message or "").strip().splitlines()
    words = f' The server says: "{message[0]}"' if message else ""
    if status in (401, 403):
        return f"the token was refused (HTTP {status}); log in with `hf auth login`, or set HF_TOKEN.{words}"
    if status == 429:
        return f"the quota is used up (HTTP 429); wait some minutes, or log in for a larger one.{words}"
    if status == 412:
        return f"somebody has changed it meanwhile; run the command again.{words}"
    if status == 413 or (isinstance(error, BadRequestError) and "storage" in words):
        return f"the files are larger than the server takes (HTTP {status}).{words}"
    return f"the server answered HTTP {status}; try again later.{words}"
