"""The fingerprint: what an encoder makes of one fixed synthetic image.

Weights that loaded wrongly (a permuted channel, a missing stage, another normalisation) change it; another machine's
rounding does not, within TOLERANCE. Torch-free, so that an exported file can be held against it.
"""

import base64
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from .photo_encoder import PhotoEncoder

TOLERANCE = 1e-3  # on unit vectors; fp32 on different processors stays below 1e-5, a wrong batch norm is above 1e-2


def fingerprint(encoder: "PhotoEncoder") -> str:
    """The unit embedding of `synthetic_photo`: base64 of F little-endian float32."""
    return base64.b64encode(encoder.encode([synthetic_photo()])[0].astype("<f4").tobytes()).decode()


def fingerprint_distance(one: str, other: str) -> float:
    """Euclidean distance of two fingerprints: 0 equal, 2 opposite, inf where they cannot be compared."""
    try:
        first, second = fingerprint_vector(one), fingerprint_vector(other)
    except ValueError:
        return float("inf")
    return float(np.linalg.norm(first - second)) if len(first) == len(second) > 0 else float("inf")


def fingerprint_vector(text: str) -> np.ndarray:
    """(F,) float32.

    Raises:
        ValueError: the text is no fingerprint.
    """
    return np.frombuffer(base64.b64decode(text, validate=True), "<f4")


def is_fingerprint(text: str, dimension: int | None = None) -> bool:
    """Whether a text is a finite unit vector, of that many numbers where they are known."""
    try:
        vector = fingerprint_vector(text)
    except ValueError:
        return False
    length = float(np.linalg.norm(vector.astype(np.float64)))
    return abs(length - 1) < 1e-2 and dimension in (None, len(vector))


def synthetic_photo() -> Image.Image:
    """A 320 x 256 RGB image of smooth ramps, stripes and discs, made with integers only: equal everywhere."""
    y, x = np.mgrid[0:256, 0:320]
    red = (x * 255) // 319
    green = (y + (x // 16) * 32) % 256
    blue = np.where((x - 160) ** 2 + (y - 128) ** 2 < 80**2, 230, (x * y) // 321 % 256)
    return Image.fromarray(np.stack([red, green, blue], axis=2).astype(np.uint8))
