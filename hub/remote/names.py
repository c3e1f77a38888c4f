"""Names of Hub repositories as users write them: owner/name, owner/name@revision, hf-hub:owner/name."""

import re
from dataclasses import dataclass

from ..errors import UsageError

PREFIX = "hf-hub:"
_NAME = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True)
class Repository:
    """A repository and which of its revisions: a branch, a tag, a commit."""

    id: str
    revision: str = "main"

    def __str__(self) -> str:
        return self.id if self.revision == "main" else f"{self.id}@{self.revision}"


def parse_repository(name: str, *, revision: str | None = None) -> Repository | None:
    """The repository that a name means; None where it is no such name.

    Args:
        revision: beside the name, instead of the one in it.
    """
    match = _NAME.fullmatch(name.removeprefix(PREFIX))
    if match is None:
        return None
    return Repository(match["repo"], revision or match["revision"] or "main")


def require_repository(name: str, *, revision: str | None = None) -> Repository:
    """`parse_repository` for whoever needs one.

    Raises:
        UsageError: the name is none of a repository.
    """
    found = parse_repository(name, revision=revision)
    if found is None:
        raise UsageError(f"{name!r} is no repository; give OWNER/NAME, of letters, digits, '.', '_' and '-'.")
    return found
