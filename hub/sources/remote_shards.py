"""Tar shards at an address that fsspec understands: s3://, gs://, hf://, https:// and others; nothing is copied here.

A shard's headers are read once and remembered; then each photo is one request for its bytes. A library of fsspec's own
for the store (s3fs, gcsfs) must be installed.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

from ..errors import DataError
from .counted_names import counted

Found = TypeVar("Found")
_STAMPS = ("ETag", "etag", "blob_id", "md5Hash", "LastModified", "mtime", "created", "size")  # by which a change shows


@dataclass(frozen=True)
class RemoteShard:
    """A tar file somewhere else."""

    address: str

    def __str__(self) -> str:
        return self.address

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.address.rpartition("/")[2]

    def stamp(self) -> str:
        """A digest that changes with the content.

        Raises:
            DataError: the store does not answer, or has no such file.
        """
        about = _ask(self.address, lambda store, path: store.info(path))
        known = [f"{name} {about[name]}" for name in _STAMPS if name in about]
        return hashlib.sha256("\n".join([self.address, *known]).encode()).hexdigest()

    def read(self, first: int, count: int) -> bytes:
        """Some bytes of it; fewer where it ends before.

        Raises:
            DataError: the store does not answer, or has no such file any more.
        """
        content: bytes = _ask(self.address, lambda store, path: store.cat_file(path, start=first, end=first + count))
        return content

    @contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        """The whole, from its start."""
        with _ask(self.address, lambda store, path: store.open(path)) as file:
            yield file


def is_address(data: object) -> bool:
    """Whether data lie where fsspec reads; hf:NAME, of Hugging Face datasets, has no slashes behind its colon."""
    return "://" in str(data)


def address_name(address: str) -> str:
    """What data at an address are called: its last part, without the store and the folders before it."""
    return address.rstrip("/").rpartition("/")[2]


def find_remote_shards(address: str) -> list[RemoteShard]:
    """The tar files that an address means: one, those of a folder, of a pattern with *, or of {000..012}.

    Raises:
        DataError: there is none, one is compressed, or the store does not answer.
    """
    names = counted(address) or _ask(address, _listed)
    squeezed = next((name for name in names if not name.endswith(".tar")), None)
    if squeezed is not None or not names:
        raise DataError(f"{squeezed or address} is no plain .tar; give the address of shards, or of their folder.")
    return [RemoteShard(name) for name in names]


def content_of(shards: Sequence[RemoteShard]) -> str:
    """A digest over what the shards are now."""
    return hashlib.sha256("\n".join(shard.stamp() for shard in shards).encode()).hexdigest()


def _listed(store: Any, path: str) -> list[str]:
    if "*" in path:
        found = store.glob(path)
    elif store.isdir(path):
        found = [name for name in store.ls(path, detail=False) if name.endswith(".tar")]
    else:
        found = [path]
    return sorted(store.unstrip_protocol(name) for name in found)


def _ask(address: str, question: Callable[[Any, str], Found]) -> Found:
    """What a store answers; it is found anew in each process, for connections do not survive a fork."""
    from fsspec.core import url_to_fs

    try:
        store, path = url_to_fs(address)
        return question(store, path)
    except ImportError as error:
        raise DataError(f"{address} cannot be read here: {error}.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{address} cannot be read ({str(error) or type(error).__name__}).") from None
