"""What a run says of its data: a name that means something to others, counts, and digests of what is in them."""

import hashlib
from pathlib import Path
from typing import Any

from ...hub.errors import DataError
from ...hub.sources.remote_shards import is_address
from ...hub.sources.source import Source

SAMPLE = "photos_sha256"
_SAMPLED = 64  # photos, evenly spread
_COMMON = {  # names of folders and lists that do not say which data they hold
    *("train", "training", "val", "valid", "validation", "test", "all", "full", "raw", "unlabeled", "unlabelled"),
    *("data", "dataset", "datasets", "files", "image", "images", "img", "imgs", "jpegimages", "photo", "photos"),
    *("pictures", "pics", "list", "input", "inputs", "shards"),
}
_HOMES = {"home", "users"}  # what is in them is named after a person


def describe_data(data: Path | str, source: Source) -> dict[str, Any]:
    """For recipe.json and config.json: the source's own description under a name that tells which data it is.

    `photos_sha256` is over the bytes of some photos, evenly spread: other photos under the same names are noticed,
    and a folder that was moved or renamed is known again.
    """
    return source.describe() | {"name": data_name(data, source), SAMPLE: _sample(source)}


def data_name(data: Path | str, source: Source) -> str:
    """The end of the data's path, from the last folder on that is not called "train", "images" or the like.

    "imagenet/train" of /data/imagenet/train. No name of a person's home folder is given away.
    """
    if str(data).startswith("hf:") or is_address(data):
        return source.name
    path = Path(data).resolve()
    if path.name != source.name and (path / source.name).is_dir():
        path = path / source.name
    parts = [part for part in path.parts if part != path.anchor]
    if not parts:
        return source.name
    first = len(parts) - 1
    while first and Path(parts[first]).stem.lower() in _COMMON and not _is_private(path.parents[-first - 1]):
        first -= 1
    return "/".join(parts[first:])


def _is_private(folder: Path) -> bool:
    """Whether it is somebody's home, or where homes are."""
    return folder in (Path.home(), Path("/root")) or bool({folder.name.lower(), folder.parent.name.lower()} & _HOMES)


def _sample(source: Source) -> str:
    digest, count = hashlib.sha256(), min(_SAMPLED, len(source))
    for position in (number * len(source) // count for number in range(count)):
        try:
            opened = source.open(position)
            content = opened.read_bytes() if isinstance(opened, Path) else opened.read()
        except (DataError, OSError):
            content = b"unreadable"
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()
