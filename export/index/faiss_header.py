"""The head of an index.faiss of the first format, compared with what index.json describes.

It is one kind of faiss index, whose length follows from its dimension and count, so that numpy can read it.
Source: faiss/impl/index_write.cpp (IndexIDMap2 around IndexFlatIP).
"""

import struct
from pathlib import Path

from ...hub.errors import ArtifactError

_HEAD = struct.Struct("<4siqqq?i")  # kind, dimension, count, two unused, whether trained, metric
_COUNT = struct.Struct("<Q")
_KINDS = {b"IxM2": "IDMap2", b"IxMp": "IDMap", b"IxFI": "Flat", b"IxF2": "Flat", b"IxSQ": "SQ", b"IxPq": "PQ"}
_METRICS = {0: "inner product", 1: "L2"}
_OURS = ("IDMap2,Flat", "inner product")


def check_faiss_file(path: Path, dimension: int) -> int:
    """The number of vectors in an exact index of inner products.

    Raises:
        ArtifactError: the file is missing, cut short, or of another kind, metric or dimension.
    """
    if not path.is_file():
        raise ArtifactError(f"{path} is missing; the index is incomplete, build it again.")
    with path.open("rb") as stream:
        head = stream.read(2 * _HEAD.size + _COUNT.size)
    if len(head) < 2 * _HEAD.size + _COUNT.size:
        raise ArtifactError(f"{path} is not a complete faiss index; build the index again.")
    outer, inner = _HEAD.unpack_from(head), _HEAD.unpack_from(head, _HEAD.size)
    heads = (outer, inner) if outer[-1] in _METRICS else (outer,)  # other metrics have a further number in their head
    kind = ",".join(_name(part[0]) for part in heads)
    metrics = {_METRICS.get(part[-1], f"metric {part[-1]}") for part in heads}
    dimensions, counts = {part[1] for part in heads}, {part[2] for part in heads}
    if kind != _OURS[0] or metrics != {_OURS[1]} or dimensions != {dimension}:
        raise ArtifactError(
            f"{path} is {kind} of {' and '.join(sorted(metrics))}, {' and '.join(map(str, sorted(dimensions)))} "
            f"dimensions, where index.json describes {_OURS[0]} of {_OURS[1]}, {dimension} dimensions; build the index "
            "again."
        )
    (numbers,) = _COUNT.unpack_from(head, 2 * _HEAD.size)
    count = int(numbers) // dimension
    length = len(head) + 4 * count * dimension + _COUNT.size + 8 * count
    if counts != {count} or path.stat().st_size != length:
        raise ArtifactError(f"{path} is not a complete faiss index of {outer[2]} vectors; build the index again.")
    return count


def data_places(count: int, dimension: int) -> tuple[int, int]:
    """Where the vectors and where the ids begin, in bytes."""
    vectors = 2 * _HEAD.size + _COUNT.size
    return vectors, vectors + 4 * count * dimension + _COUNT.size


def _name(kind: bytes) -> str:
    return _KINDS.get(kind, "".join(chr(byte) if 33 <= byte < 127 else "?" for byte in kind))
