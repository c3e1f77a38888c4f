"""A photo read once for all that an index wants of it: digest, date, thumbnail, and the pixels that are embedded."""

import contextlib
import hashlib
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from ...hub.deep_pixels import Values
from ...hub.errors import DataError
from ...hub.images import decoded, opened
from .image_index import make_thumbnail

_EXIF_IFD, _TAKEN, _CHANGED = 0x8769, 0x9003, 0x0132  # of the EXIF standard: DateTimeOriginal, DateTime


@dataclass(frozen=True)
class Content:
    """What a file is, without a look at its pixels."""

    sha256: str
    size: int
    modified_ns: int


@dataclass(frozen=True)
class Photo:
    """A photo that was read; `position` is its place in what was asked for."""

    position: int
    content: Content
    date: str | None
    thumbnail: bytes
    image: Image.Image


def read_photos(
    paths: Sequence[Path], *, values: Values | None, workers: int
) -> Iterator[Photo | tuple[int, DataError]]:
    """Each photo in order, or its position and why it cannot be read.

    Args:
        values: of photos of more than 8 bits, which are black and white.
        workers: processes that read, 0 for none beside this one; they are a few photos ahead.
    """
    read = partial(_read, values=values)
    yield from _map(read, list(enumerate(paths)), workers)


def content_of(path: Path) -> Content:
    """The digest, size and time of change of a file.

    Raises:
        DataError: it cannot be read.
    """
    return _content(path)[1]


def taken(image: Image.Image) -> str | None:
    """When a photo was taken, as its camera wrote it; None where it does not say."""
    with warnings.catch_warnings(), contextlib.suppress(Exception):  # damaged EXIF raises anything
        warnings.simplefilter("ignore")
        exif = image.getexif()
        text = exif.get_ifd(_EXIF_IFD).get(_TAKEN) or exif.get(_CHANGED)
        return datetime.strptime(str(text).strip("\0 ")[:19], "%Y:%m:%d %H:%M:%S").isoformat()
    return None


def _read(asked: tuple[int, Path], values: Values | None) -> Photo | tuple[int, DataError]:
    position, path = asked
    try:
        raw, content = _content(path)
        with opened(BytesIO(raw), name=str(path)) as image:
            date = taken(image)
            photo = decoded(image, values=values, name=str(path))
    except DataError as error:
        return position, error
    return Photo(position, content, date, make_thumbnail(photo), photo)


def _content(path: Path) -> tuple[bytes, Content]:
    try:
        modified_ns = path.stat().st_mtime_ns  # first: what changes meanwhile is noticed next time
        raw = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; check the path.") from None
    except (OSError, RuntimeError) as error:  # the latter for a link to itself
        reason = getattr(error, "strerror", None) or "a link that leads nowhere"
        raise DataError(f"{path} cannot be read ({reason}); check the path.") from None
    return raw, Content(hashlib.sha256(raw).hexdigest(), len(raw), modified_ns)


def _map(
    read: "partial[Photo | tuple[int, DataError]]", asked: Sequence[tuple[int, Path]], workers: int
) -> Iterator[Photo | tuple[int, DataError]]:
    if not workers:
        yield from map(read, asked)
        return
    # A process forked from one that runs ONNX Runtime or faiss may hang in its locks; a new one starts without them.
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        ahead: deque[Future[Photo | tuple[int, DataError]]] = deque()
        for one in asked:
            ahead.append(pool.submit(read, one))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
