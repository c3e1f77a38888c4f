"""Files by their content: each lies once, under its sha256, and is there whole or not at all."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..web import Refusal
from .names import SHA256

_PART_BYTES = 2**20


@dataclass(frozen=True)
class Blob:
    """One content. `git_oid` is git's name for it, by which clients notice that a small file has not changed."""

    sha256: str
    size: int
    git_oid: str


class Blobs:
    """The contents below ROOT/blobs; unfinished ones lie in ROOT/uploads, which is emptied when a server starts."""

    def __init__(self, root: Path):
        self._blobs, self._uploads = root / "blobs", root / "uploads"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._uploads.mkdir(exist_ok=True)

    def remove_unfinished(self) -> None:
        """What a killed server left half-written."""
        for file in self._uploads.iterdir():
            file.unlink()

    def path(self, sha256: str) -> Path:
        """Where a content lies, or would."""
        assert SHA256.fullmatch(sha256)
        return self._blobs / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    @contextmanager
    def unfinished(self) -> Iterator[BinaryIO]:
        """A temporary file to write a content into; gone at the block's end unless `keep` has taken it."""
        handle, name = tempfile.mkstemp(dir=self._uploads)
        try:
            os.close(handle)
            with Path(name).open("w+b") as stream:
                yield stream
        finally:
            Path(name).unlink(missing_ok=True)

    def keep(self, stream: BinaryIO, *, sha256: str | None = None, size: int | None = None) -> Blob:
        """Give a written file of `unfinished` its name, once it is what its sender said and safely on disk.

        Raises:
            Refusal: 400, the content has another sha256 or size.
        """
        blob = digest(stream)
        if (sha256 is not None and blob.sha256 != sha256) or (size is not None and blob.size != size):
            raise Refusal(
                400,
                f"The content that arrived has sha256 {blob.sha256} and {blob.size:,} bytes, not {sha256} and {size}; "
                "send it again.",
            )
        stream.flush()
        os.fsync(stream.fileno())
        target = self.path(blob.sha256)
        target.parent.mkdir(exist_ok=True)
        Path(stream.name).replace(target)
        _sync_folder(target.parent)
        return blob

    def keep_bytes(self, content: bytes) -> Blob:
        """`keep` for what is in memory."""
        with self.unfinished() as stream:
            stream.write(content)
            return self.keep(stream)

    def remove_others(self, known: set[str]) -> int:
        """Delete what no commit names, e.g. of interrupted uploads; gives how many."""
        others = [file for file in self._blobs.glob("??/*") if file.name not in known]
        for file in others:
            file.unlink()
        return len(others)


def digest(stream: BinaryIO) -> Blob:
    """Both names and the size of an open file's whole content."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    plain, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    while part := stream.read(_PART_BYTES):
        plain.update(part)
        git.update(part)
    return Blob(plain.hexdigest(), size, git.hexdigest())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
