"""The fingerprint: what an encoder makes of one fixed synthetic image.

Weights that loaded wrongly (a permuted channel, a missing stage, another normalisation) change it; another machine's
rounding does not, within TOLERANCE. Torch-free, so that an exported file can be held against it.
"""

import base64
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from .photo_encoder import PhotoEncoder

TOLERANCE = 1e-3  # on unit vectors; fp32 on different processors stays below 1e-5, a wrong batch norm is above 1e-2


def fingerprint(encoder: "PhotoEncoder") -> str:
    """The unit embedding of `synthetic_photo`: base64 of F little-endian float32."""
    with _without_tf32():
        vector = encoder.encode([synthetic_photo()])[0]
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


@contextmanager
def _without_tf32() -> Iterator[None]:
    """GPUs multiply with 10 bits by default, which moves a ResNet's vectors by 1e-3 to 2e-3: more than TOLERANCE."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    places = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [place.allow_tf32 for place in places]
    try:
        for place in places:
            place.allow_tf32 = False
        yield
    finally:
        for place, value in zip(places, before, strict=True):
            place.allow_tf32 = value


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
