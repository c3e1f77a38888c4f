"""Photos of more than 8 bits (16-bit, signed, floating-point) as 8 bits, by a range of values that is known.

A file of 12-bit X-rays in 16 bits does not say that its white is 4095. So the range is declared with the data or the
encoder, as LOW..HIGH, the values of black and of white. Without a declaration two kinds are beyond doubt and read:
unsigned 16 bits of which the upper half is used (0..65535), and numbers up to 1 of which the upper half is used
(0..1). Everything else is refused, for a guess would show the network nearly black photos. Torch-free.
"""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from .errors import DataError, UsageError

Values = tuple[float, float]  # what becomes black, what becomes white

LARGEST_VALUE = 1e12  # either side of 0
FULL_16_BITS: Values = (0.0, 65535.0)
_MARK = "#values="
_UNSIGNED_FORMATS = {"PNG", "PPM", "JPEG2000"}  # where Pillow's mode I stands for unsigned 16 bits


def parse_values(text: str) -> Values:
    """LOW..HIGH, e.g. "0..4095" or "-1000..400".

    Raises:
        UsageError: it is something else.
    """
    low, dots, high = text.partition("..")
    try:
        values = float(low), float(high)
    except ValueError:
        values = (math.nan, math.nan)
    if not dots or not is_range(values):
        raise UsageError(
            f"{text!r} is no range of values; write LOW..HIGH, the value of black and that of white, as in 0..4095."
        )
    return values


def split_values(name: object) -> tuple[str, Values | None]:
    """An encoder's name and the range that stands behind it: "E#values=0..4095" -> ("E", (0.0, 4095.0)).

    Raises:
        UsageError: what stands behind is no range.
    """
    bare, mark, text = str(name).rpartition(_MARK)
    return (bare, parse_values(text)) if mark else (text, None)


def is_range(values: Sequence[float]) -> bool:
    """Whether two numbers are a range: finite, the lower first."""
    return len(values) == 2 and all(abs(value) <= LARGEST_VALUE for value in values) and values[0] < values[1]


def describe_values(values: Values) -> str:
    """As `parse_values` reads it."""
    return "..".join(f"{value:.15g}" for value in values)


def is_deep(image: Image.Image) -> bool:
    """Whether the pixels of one channel are of more than 8 bits."""
    return image.mode in {"I", "F"} or image.mode.startswith("I;16")


def is_deep_colour(image: Image.Image) -> bool:
    """Whether an opened, not yet decoded file has several channels of 16 bits; Pillow gives the upper 8 of each."""
    return not is_deep(image) and any(";16" in str(tile) for tile in getattr(image, "tile", ()))


def gray_to_8_bits(image: Image.Image, values: Values | None, *, name: str, kind: str | None = None) -> Image.Image:
    """One deep channel as 8 bits a pixel; what lies outside the range becomes black or white.

    Args:
        kind: the file's format, as Pillow names it.

    Raises:
        DataError: NaN, or a range that nobody declared and the values leave in doubt.
    """
    pixels = np.asarray(image, np.float32 if image.mode == "F" else np.int32)
    if not pixels.size or not np.isfinite(pixels).all():
        raise DataError(f"{name} has NaN or infinity among its values; replace them, or leave the file out.")
    low, high = values or _beyond_doubt(image, pixels, name=name, kind=kind)
    scaled = (pixels.astype(np.float64) - low) * (255 / (high - low))
    return Image.fromarray(np.clip(scaled, 0, 255).round().astype(np.uint8))


def check_colour(image: Image.Image, values: Values | None, *, name: str) -> None:
    """Refuse a 16-bit colour file whose values may end lower than 16 bits do: Pillow gives 8 of its bits only.

    Raises:
        DataError: another range was declared, or none and the upper half is unused.
    """
    if values not in (None, FULL_16_BITS):
        raise DataError(
            f"{name} is a colour file of 16 bits, whose values cannot be read as {describe_values(values or (0, 0))}; "
            "convert it to 8 bits."
        )
    extrema = np.atleast_2d(image.getextrema())
    if values is None and extrema[:, 1].max() < 128:
        raise _in_doubt(name, f"values up to about {int(extrema[:, 1].max()) * 256 + 255} in 16 bits")


def _beyond_doubt(image: Image.Image, pixels: np.ndarray, *, name: str, kind: str | None) -> Values:
    least, most = pixels.min().item(), pixels.max().item()
    if image.mode == "F":
        if least >= 0 and 0.5 < most <= 1:
            return 0.0, 1.0
        raise _in_doubt(name, f"floating-point values from {least:g} to {most:g}")
    is_unsigned = image.mode != "I" or kind in _UNSIGNED_FORMATS
    if is_unsigned and least >= 0 and 32767 < most <= 65535:
        return FULL_16_BITS
    raise _in_doubt(name, f"values from {least} to {most} in {'16' if image.mode != 'I' or is_unsigned else '32'} bits")


def _in_doubt(name: str, found: str) -> DataError:
    return DataError(
        f"{name} has {found}, and nothing says which is white: declare the range, as in --values 0..4095 of goodviews "
        "pretrain and transfer or --encoder E#values=0..4095, or convert it to 8 bits."
    )
