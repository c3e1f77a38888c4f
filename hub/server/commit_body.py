"""The body of a commit as clients send it: one JSON object a line, small files inside, large ones by their sha256."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from ..web import Refusal
from .blobs import Blobs
from .database import Change, File
from .names import SHA256, file_path


@dataclass(frozen=True)
class CommitBody:
    """What a client wants to commit."""

    title: str
    message: str
    parent: str | None
    change: Change


def read_commit(stream: BinaryIO, blobs: Blobs) -> CommitBody:
    """Read a body from its start; the small files in it are stored on the way.

    Raises:
        Refusal: 400, a line is not as it must be, or a large file was not uploaded before.
    """
    header: Mapping[str, Any] = {}
    files: dict[str, File] = {}
    deleted: set[str] = set()
    folders: list[str] = []
    for key, value in _lines(stream):
        if key == "header":
            header = value
        elif key == "file":
            files[_path(value)] = _small_file(value, blobs)
        elif key == "lfsFile":
            files[_path(value)] = _large_file(value, blobs)
        elif key == "deletedFile":
            deleted.add(_path(value))
        elif key == "deletedFolder":
            folders.append(file_path(str(value.get("path", "")).rstrip("/")) + "/")
        else:
            raise Refusal(400, f"A commit cannot hold {key[:50]!r}; files, large files and deletions are supported.")
    title = str(header.get("summary") or "").strip()
    if not title:
        raise Refusal(400, "The commit has no summary; give a commit message.")
    parent = header.get("parentCommit")
    if parent is not None and not isinstance(parent, str):
        raise Refusal(400, "The commit's parentCommit is not a text.")
    return CommitBody(
        title[:500], str(header.get("description") or ""), parent, Change(files, frozenset(deleted), tuple(folders))
    )


def _lines(stream: BinaryIO) -> Iterator[tuple[str, Mapping[str, Any]]]:
    stream.seek(0)
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            key, value = entry["key"], entry["value"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Refusal(400, f"Line {number} of the commit is not JSON with key and value.") from None
        if not isinstance(key, str) or not isinstance(value, dict):
            raise Refusal(400, f"Line {number} of the commit is not JSON with key and value.")
        yield key, value


def _path(value: Mapping[str, Any]) -> str:
    return file_path(str(value.get("path", "")))


def _small_file(value: Mapping[str, Any], blobs: Blobs) -> File:
    content = value.get("content", "")
    if not isinstance(content, str):
        raise Refusal(400, f"The content of {_path(value)} is not a text.")
    try:
        is_encoded = value.get("encoding", "utf-8") == "base64"
        plain = base64.b64decode(content, validate=True) if is_encoded else content.encode()
    except (binascii.Error, UnicodeEncodeError):
        raise Refusal(400, f"The content of {_path(value)} is not base64.") from None
    blob = blobs.keep_bytes(plain)
    return File(_path(value), blob.sha256, blob.size, blob.git_oid, lfs=False)


def _large_file(value: Mapping[str, Any], blobs: Blobs) -> File:
    sha256 = str(value.get("oid", ""))
    if value.get("algo", "sha256") != "sha256" or not SHA256.fullmatch(sha256):
        raise Refusal(400, f"{_path(value)} is not named by a sha256.")
    if not blobs.has(sha256):
        raise Refusal(400, f"The content of {_path(value)} (sha256 {sha256[:12]}...) is missing here; upload it first.")
    size = blobs.path(sha256).stat().st_size
    return File(_path(value), sha256, size, "", lfs=True)
