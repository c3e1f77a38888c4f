"""Files of torch.save that say their own SHA-256, in the comment that a zip archive may end with.

torch, zipfile and older versions of goodviews read them as any other; a file without the comment is read unchecked.
"""

import hashlib
import io
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, cast

import torch

from ..errors import ArtifactError

_BEGIN = b"goodviews sha256 "
_LENGTH = len(_BEGIN) + 64
_SIZE = _LENGTH.to_bytes(2, "little")


def save_sealed(content: Any, stream: IO[bytes]) -> None:
    """torch.save, then the digest of what was written."""
    hashed = _Hashed(stream)
    torch.save(content, cast(IO[bytes], hashed))
    stream.write(_SIZE + _BEGIN + hashed.digest.hexdigest().encode())  # in place of 0, the length of no comment


def load_sealed(path: Path, **options: Any) -> Any:
    """torch.load of tensors and plain values alone, while a thread checks the digest.

    Raises:
        ArtifactError: the file is damaged.
        Exception: what torch.load raises, of many kinds.
    """
    with ThreadPoolExecutor(1) as thread:
        seal = thread.submit(check_seal, path)
        try:
            content = torch.load(path, weights_only=True, **options)
        finally:
            seal.result()
    return content


def check_seal(path: Path) -> None:
    """Compare a file with the digest in it.

    Raises:
        ArtifactError: they differ.
    """
    length = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(0, length - _LENGTH - len(_SIZE)))
        end = stream.read()
        found = re.fullmatch(_SIZE + _BEGIN + b"([0-9a-f]{64})", end)
        if found is None and not end.startswith(_SIZE) and _BEGIN not in end:
            return
        stream.seek(0)
        digest, left = hashlib.sha256(), length - _LENGTH - len(_SIZE)
        while left and (piece := stream.read(min(left, 1 << 20))):
            digest.update(piece)
            left -= len(piece)
    if found is None or digest.hexdigest().encode() != found[1]:
        raise ArtifactError(f"{path} is damaged: it has another sha256 than it says; copy it again, or start anew.")


class _Hashed(io.RawIOBase):
    """Hashes and passes on what is written but its last two bytes, which say how long the comment is."""

    def __init__(self, stream: IO[bytes]):
        self.stream, self.digest, self.late = stream, hashlib.sha256(), b""

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        pending = self.late + bytes(piece)
        self.late = pending[-2:]
        self.digest.update(pending[:-2])
        self.stream.write(pending[:-2])
        return len(piece)
