"""Plain JPEG files, decoded in half of Pillow's time where simplejpeg is installed (`pip install "goodviews[fast]"`).

The pixels are Pillow's, bit by bit: both decode by libjpeg-turbo. What is not plain (grey or CMYK, turned by its EXIF,
several pictures in a file, too large) or damaged in any way is left to Pillow, which has the sentences for it too.
"""

from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_JPEG = b"\xff\xd8"
_SCAN = 0xDA  # marks where pixels begin; what says how to read them comes before
_NOT_PLAIN = (b"Exif\0\0", b"tiff:Orientation", b"MPF\0")  # may be turned, or hold more than one picture


@dataclass(frozen=True)
class PlainJpeg:
    """A file's bytes, not yet decoded, and its size in pixels."""

    data: bytes
    width: int
    height: int

    def pixels(self) -> NDArray[np.uint8] | None:
        """(H, W, 3), RGB; None where the decoder has anything to remark."""
        decoder = _simplejpeg()
        assert decoder is not None
        try:
            photo: NDArray[np.uint8] = decoder.decode_jpeg(self.data, colorspace="RGB", strict=True)
        except ValueError:
            return None
        return photo


def plain_jpeg(file: Path | BinaryIO) -> PlainJpeg | None:
    """The file, if it is one; None where Pillow has to look at it, be it that it does not exist."""
    decoder, stream = _simplejpeg(), in_memory(file)
    if decoder is None or not isinstance(stream, BytesIO):
        return None
    data = stream.getvalue()  # no copy
    head = data[: _scan_at(data)]
    if any(mark in head for mark in _NOT_PLAIN):
        return None
    try:
        height, width, colours, _ = decoder.decode_jpeg_header(data, strict=True)
    except ValueError:
        return None
    is_too_large = Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS
    return None if colours != "YCbCr" or is_too_large else PlainJpeg(data, width, height)


def _scan_at(data: bytes) -> int:
    """Where the first scan begins; the end, where a segment before it is not as it should be."""
    place = len(_JPEG)
    while len(data) >= place + 4 and data[place] == 0xFF and data[place + 1] != _SCAN:
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return place if data[place : place + 2] == bytes((0xFF, _SCAN)) else len(data)


def in_memory(file: Path | BinaryIO) -> Path | BinaryIO:
    """A JPEG file as a stream of its bytes, read once whoever decodes it then; all else as it is."""
    if _simplejpeg() is None or not isinstance(file, Path):
        return file
    try:
        with file.open("rb", buffering=0) as stream:
            start = stream.read(len(_JPEG))
            return BytesIO(start + stream.readall()) if start == _JPEG else file
    except OSError:
        return file


def version() -> str | None:
    """Of simplejpeg; None where it is not installed."""
    decoder = _simplejpeg()
    return None if decoder is None else str(decoder.__version__)


@cache
def _simplejpeg() -> ModuleType | None:
    try:
        import simplejpeg
    except ImportError:
        return None
    return simplejpeg
