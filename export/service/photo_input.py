"""Photos that strangers send: their bytes, or arrays of pixels, as RGB within the limits."""

import base64
import binascii
from io import BytesIO

import numpy as np
from PIL import Image

from ...hub.deep_pixels import Values
from ...hub.errors import DataError, TooManyPixels
from ...hub.images import decoded, opened
from ...hub.web import Refusal

# What decodes without another program and within its declared size; a list of its own, since Pillow also opens formats
# such as EPS, which it gives to Ghostscript.
FORMATS = frozenset({"JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000"})


def photo_of(data: bytes, *, most_pixels: int, values: Values | None = None, name: str = "The photo") -> Image.Image:
    """The bytes of an image file as an upright RGB image.

    Args:
        most_pixels: refused before anything is decoded.
        values: of photos of more than 8 bits, as the encoder declares them.
        name: what an error calls it.

    Raises:
        Refusal: 400, it cannot be read; 413, it has too many pixels.
    """
    if not data:
        raise Refusal(400, f"{name} is empty; send the bytes of an image file.")
    try:
        with opened(BytesIO(data), name=name) as image:
            if image.format not in FORMATS:
                raise Refusal(400, f"{name} is a {image.format} file, which is not taken; send a JPEG or PNG.")
            refuse_large(image.width * image.height, most_pixels, name)
            return decoded(image, values=values, name=name)
    except DataError as error:
        raise Refusal(413 if isinstance(error, TooManyPixels) else 400, str(error)) from None


def refuse_large(pixels: int, most: int, name: str) -> None:
    """Raises:
    Refusal: 413, more pixels than are taken.
    """
    if pixels > most:
        raise Refusal(
            413, f"{name} has {pixels / 1e6:.1f} million pixels, and at most {most / 1e6:.0f} million are taken."
        )


def bytes_of(text: str, *, name: str = "The photo") -> bytes:
    """What base64 text holds; a data address (data:image/jpeg;base64,...) is taken too.

    Raises:
        Refusal: 400, it is no base64.
    """
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(400, f"{name} is no base64; encode the bytes of the image file.") from None


def arrays_of(data: bytes, *, most: int, most_pixels: int) -> list[np.ndarray]:
    """The photos of an .npy file: (H, W, 3) uint8 RGB for one, (N, H, W, 3) for several.

    Raises:
        Refusal: 400, it holds something else; 413, too many or too large photos.
    """
    array = _array_of(data)
    photos = array[None] if array.ndim == 3 else array
    if photos.ndim != 4 or photos.dtype != np.uint8 or photos.shape[3] != 3 or 0 in photos.shape:
        raise Refusal(
            400,
            f"The array is {_shape(array.shape)} {array.dtype}; send (H, W, 3) or (N, H, W, 3) uint8 RGB.",
        )
    if len(photos) > most:
        raise Refusal(413, f"The array holds {len(photos)} photos, and at most {most} are taken at once.")
    refuse_large(photos.shape[1] * photos.shape[2], most_pixels, "A photo of the array")
    return list(photos)


def _array_of(data: bytes) -> np.ndarray:
    """An .npy file's array, without memory for more than the file holds."""
    stream = BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version}")
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read_header(stream)
        count = 1
        for side in shape:
            count *= int(side)
        if dtype.hasobject or dtype.itemsize == 0 or count * dtype.itemsize != len(data) - stream.tell():
            raise ValueError("its header and its length disagree")
        flat = np.frombuffer(data, dtype, count, stream.tell())
        return flat.reshape(shape, order="F" if is_fortran else "C")
    except (ValueError, TypeError, SyntaxError, OverflowError, MemoryError, RecursionError, EOFError) as error:
        raise Refusal(400, f"The body is no whole .npy file ({str(error)[:100]}); write it with numpy.save.") from None


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"
