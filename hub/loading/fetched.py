"""A download that somebody else's library makes: what goes wrong on the way becomes one sentence."""

import urllib.error
from collections.abc import Callable
from typing import TypeVar

from ..errors import ArtifactError

Value = TypeVar("Value")


def fetched(name: str, fetch: Callable[[], Value]) -> Value:
    """What `fetch` returns.

    Raises:
        ArtifactError: it could not be fetched, or arrived damaged.
    """
    try:
        return fetch()
    except (urllib.error.URLError, OSError) as error:
        raise ArtifactError(
            f"The weights {name} could not be fetched ({error}). Check the connection, or give a folder."
        ) from error
    except RuntimeError as error:
        raise ArtifactError(
            f"The weights {name} arrived damaged or do not fit ({error}). Delete the cached file and retry."
        ) from error
