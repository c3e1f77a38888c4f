"""What may name a repository, a file in it and a revision; everything else is refused before it reaches a disk."""

import re
import unicodedata
from dataclasses import dataclass

from ..web import Refusal

_PART = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_REVISION = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._/-]{0,198}[A-Za-z0-9_-])?")
COMMIT = re.compile(r"[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-f]{64}")
LONGEST_PATH = 512
MAIN = "main"


@dataclass(frozen=True)
class RepoId:
    """owner/name."""

    owner: str
    name: str

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"


def repo_id(owner: str, name: str) -> RepoId:
    """Check both parts.

    Raises:
        Refusal: 400, a part is not letters, digits, ".", "_", "-".
    """
    for part in (owner, name):
        if not _PART.fullmatch(part) or ".." in part or "--" in part or part.endswith(".git"):
            raise Refusal(400, f"{part[:100]!r} cannot name a repository: use letters, digits, '.', '_' and '-'.")
    return RepoId(owner, name)


def file_path(path: str) -> str:
    """Check the path of a file in a repository, with "/" between folders.

    Raises:
        Refusal: 400, it is absolute, leaves the repository, or holds what no file system takes.
    """
    parts = path.split("/")
    is_bad = (
        not path
        or len(path.encode("utf-8", "surrogatepass")) > LONGEST_PATH
        or any(part in ("", ".", "..") or part.lower() == ".git" for part in parts)
        or "\\" in path
        or any(unicodedata.category(character) in ("Cc", "Cs") for character in path)
    )
    if is_bad:
        raise Refusal(400, f"{path[:100]!r} cannot be a file of a repository: give a plain path below its root.")
    return path


def branch_name(name: str) -> str:
    """Check the name of a branch or tag.

    Raises:
        Refusal: 400, it is none, or would be taken for a commit.
    """
    if (
        not _REVISION.fullmatch(name)
        or ".." in name
        or "//" in name
        or name.endswith(".lock")
        or COMMIT.fullmatch(name)
    ):
        raise Refusal(400, f"{name[:100]!r} cannot name a branch or tag: use letters, digits, '.', '_', '-' and '/'.")
    return name
