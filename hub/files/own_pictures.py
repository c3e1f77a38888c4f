"""Pictures that commands drew into a folder of photos: they are no data, so a list beside them says which they are.

The list is a hidden file, {name: sha256}. Whoever puts a photo of the same name in a picture's place has a photo again.
"""

import hashlib
import json
from pathlib import Path

from .atomic import write_json

LIST = ".goodviews-pictures"
_LARGEST_BYTES = 2**24


def note_picture(picture: Path, content: bytes) -> None:
    """Add a picture that was just written to the list of its folder."""
    known = _read(picture.parent)
    write_json(picture.parent / LIST, known | {picture.name: hashlib.sha256(content).hexdigest()})


def own_pictures(folder: Path) -> frozenset[str]:
    """The names of pictures in a folder that commands drew and nobody has changed since."""
    return frozenset(name for name, digest in _read(folder).items() if _sha256(folder / name) == digest)


def _read(folder: Path) -> dict[str, str]:
    """What the list says; nothing where there is none, or where it is no such list."""
    path = folder / LIST
    try:
        content = json.loads(path.read_bytes()) if path.stat().st_size <= _LARGEST_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: digest for name, digest in content.items() if isinstance(digest, str) and "/" not in name}


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
