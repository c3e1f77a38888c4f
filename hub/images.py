"""Reading photos as people have them: any mode, any rotation, some of them broken.

Torch-free, since the deployed encoder reads images by the same rules.
"""

import contextlib
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .deep_pixels import Values, check_colour, gray_to_8_bits, is_deep, is_deep_colour
from .errors import DataError, TooManyPixels, UsageError
from .files.atomic import write_text
from .output.printing import shown

_EXIF_ERRORS = (OSError, SyntaxError, ValueError, KeyError, TypeError, ZeroDivisionError)
ImageLike = str | Path | bytes | Image.Image | np.ndarray
_TAKEN = "give paths, Pillow images, (H, W, 3) uint8 arrays or the bytes of image files"

IMAGE_SUFFIXES = frozenset(
    "." + suffix
    for suffix in ("jpg jpeg jpe jfif png webp bmp gif tif tiff ppm pgm pbm pnm mpo jp2 avif").split()  # noqa: SIM905
)


def read_image(path: Path | str, *, values: Values | None = None) -> Image.Image:
    """An image file as RGB, 8 bits a channel, upright.

    Of an animation the first frame, of transparency the colours over white. Truncated files are refused
    rather than filled with grey.

    Args:
        values: which values of a file of more than 8 bits are black and white, see `deep_pixels`.

    Raises:
        DataError: the file is missing, not an image, damaged, too large to be decoded safely, or of values that may
            mean anything.
    """
    with opened(path) as image:
        return decoded(image, values=values, name=str(path))


@contextlib.contextmanager
def opened(file: Path | str | BinaryIO, *, name: str | None = None) -> Iterator[Image.Image]:
    """An opened image file, not yet decoded; what goes wrong with the file inside the block becomes one DataError.

    Args:
        file: its path, or its bytes as a stream.
        name: what to call it in an error; by default its path.

    Raises:
        DataError: as `read_image`.
    """
    path = name if name is not None else str(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about odd metadata of files that read well
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                yield image
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; check the path.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, not an image file.") from None
    except UnidentifiedImageError:
        raise DataError(
            f"{path} is not an image that Pillow can read; remove it or convert it to JPEG or PNG."
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise TooManyPixels(f"{path} has more than {limit} million pixels; make it smaller before use.") from None
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        MemoryError,
        TypeError,
        IndexError,
        KeyError,
        AttributeError,
    ) as error:
        # Pillow's decoders raise all of these on damaged files; the file is at fault, not the caller.
        raise DataError(f"{path} is damaged ({error}); replace or remove it.") from None


def decoded(
    image: Image.Image, *, values: Values | None = None, name: str = "The image", is_upright: bool = True
) -> Image.Image:
    """An opened file, not yet decoded, as RGB, 8 bits a channel: the one way in which every reader decodes.

    Args:
        values: as for `read_image`.
        name: of the file, for errors.
        is_upright: whether the EXIF orientation is applied; without, pixels lie as they are stored.

    Raises:
        DataError: as `read_image`; other errors are Pillow's, which `opened` turns into sentences.
    """
    is_colour_of_16_bits, kind = is_deep_colour(image), image.format
    image.load()  # first, since reading the metadata of some formats decodes them and ignores damage
    if is_colour_of_16_bits:
        check_colour(image, values, name=name)
    return to_rgb(image, values=values, name=name, is_upright=is_upright, kind=kind)


def to_rgb(
    image: Image.Image,
    *,
    values: Values | None = None,
    name: str = "The image",
    is_upright: bool = True,
    kind: str | None = None,
) -> Image.Image:
    """A decoded Pillow image as RGB, 8 bits a channel; the arguments are those of `decoded`, `kind` its format."""
    if is_upright:
        with warnings.catch_warnings(), contextlib.suppress(*_EXIF_ERRORS):
            warnings.simplefilter("ignore")
            image = ImageOps.exif_transpose(image)  # unreadable EXIF says nothing of the orientation
    if is_deep(image):
        return gray_to_8_bits(image, values, name=name, kind=kind or image.format).convert("RGB")
    if image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(paper, layer).convert("RGB")
    return image.convert("RGB")


def as_photo(image: ImageLike, *, values: Values | None = None, name: str = "The image") -> Image.Image:
    """A path, the bytes of an image file, a Pillow image or an (H, W, 3) uint8 RGB array as an upright RGB image.

    Raises:
        DataError: it cannot be read, or it is no image.
    """
    if isinstance(image, Image.Image):
        return to_rgb(image, values=values, name=name)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise DataError(f"An image array must be (H, W, 3) uint8 RGB; this one is {image.shape} {image.dtype}.")
        return Image.fromarray(image)
    if isinstance(image, bytes | bytearray | memoryview):
        called = f"a file of {len(image)} bytes"
        with opened(BytesIO(image), name=called) as file:
            return decoded(file, values=values, name=called)
    if not isinstance(image, str | Path):
        raise DataError(f"{name} is {_called(image)}; {_TAKEN}.")
    if str(image).startswith(("http://", "https://", "s3://", "gs://", "ftp://", "data:")):
        raise DataError(f"{image!s:.80} is an address, and nothing is downloaded; save the photo and give its path.")
    return read_image(image, values=values)


def check_request(images: Iterable[ImageLike], batch_size: int, workers: int) -> Sequence[ImageLike]:
    """The images as a sequence; refuses what no encoder can encode.

    Raises:
        UsageError: one image instead of a list, no images at all, or a number out of range.
    """
    if batch_size < 1:
        raise UsageError(f"batch_size is {batch_size}; it must be 1 or more.")
    if workers < 0:
        raise UsageError(f"workers is {workers}; it must be 0 or more.")
    is_array_of_one = isinstance(images, np.ndarray) and images.ndim in (0, 2, 3)
    if isinstance(images, str | Path | bytes | bytearray | Image.Image) or is_array_of_one:
        raise UsageError("encode takes a list of images; put the single one into a list.")
    if _is_tensor(images):
        raise UsageError(f"encode takes no tensors; {_TAKEN}, or give a batch that is normalised already to embed.")
    if isinstance(images, Mapping) or not hasattr(images, "__iter__"):
        raise UsageError(f"encode takes a list of images, and this is {_called(images)}; {_TAKEN}.")
    sequence: Any = images if isinstance(images, Sequence | np.ndarray) else list(images)
    return cast(Sequence[ImageLike], sequence)


def problem_with(image: ImageLike, position: int, error: DataError) -> str:
    """What is wrong with an image of a list; one that has no path is called by its position."""
    name = name_of(image, position)
    return str(error) if name in str(error) or isinstance(image, str | Path) else f"{name}: {error}"


def name_of(image: ImageLike, position: int) -> str:
    """What to call an image of a list: its path, or its position."""
    return str(image) if isinstance(image, str | Path) else f"image {position}"


def _called(thing: object) -> str:
    return f"of the type {type(thing).__name__}"


def _is_tensor(thing: object) -> bool:
    return type(thing).__module__.partition(".")[0] == "torch"


def has_image_suffix(name: str) -> bool:
    """Whether a file name is that of an image and not hidden."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith(".")  # noqa: PTH122, fast


@dataclass
class SkippedImages:
    """Images that were left out because they could not be read, with the reason of each."""

    items: list[tuple[str, str]] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)

    def add(self, path: Path | str, reason: str, position: int = -1) -> None:
        """Note one image; `position` is its place in what was asked for, where there is an order."""
        self.items.append((str(path), reason))
        self.positions.append(position)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.items)

    def summary(self) -> str:
        """One line for the log, e.g. "3 images could not be read and were skipped: a.jpg, b.png, c.gif"."""
        names = ", ".join(Path(path).name for path, _ in self.items[:5])
        more = f" and {len(self) - 5} more" if len(self) > 5 else ""
        noun = "image" if len(self) == 1 else "images"
        were = "was" if len(self) == 1 else "were"
        return f"{len(self)} {noun} could not be read and {were} skipped: {names}{more}"

    def write(self, path: Path) -> Path:
        """Write one line an image: its path, a tab, the reason."""
        return write_text(path, "".join(f"{shown(name)}\t{shown(reason)}\n" for name, reason in self.items))
