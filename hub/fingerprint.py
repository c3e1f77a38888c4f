"""The fingerprint: what an encoder makes of one fixed synthetic image.

Weights that loaded wrongly (a permuted channel, a missing stage, another normalisation) change it; another machine's
rounding does not, within TOLERANCE. Torch-free, so that an exported file can be held against it.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from PIL import Image

TOLERANCE = 1e-3  # on unit vectors; fp32 on different processors stays below 1e-5, a wrong batch norm is above 1e-2


class Embeds(Protocol):
    """Anything that turns images into unit vectors: an Encoder, an exported one."""

    def encode(self, images: Sequence[Any]) -> np.ndarray: ...


def fingerprint(encoder: Embeds) -> str:
    """The unit embedding of `synthetic_photo`: base64 of F little-endian float32."""
    return base64.b64encode(_embedding(encoder).astype("<f4").tobytes()).decode()


def fingerprint_difference(encoder: Embeds, expected: str) -> float:
    """Euclidean distance of the encoder's fingerprint from a stored one: 0 equal, 2 opposite, inf not comparable."""
    found = _embedding(encoder)
    try:
        stored = np.frombuffer(base64.b64decode(expected, validate=True), "<f4")
    except (binascii.Error, ValueError):
        return float("inf")
    return float(np.linalg.norm(found - stored)) if len(found) == len(stored) else float("inf")


def synthetic_photo() -> Image.Image:
    """A 320 x 256 RGB image of smooth ramps, stripes and discs, made with integers only: equal everywhere."""
    y, x = np.mgrid[0:256, 0:320]
    red = (x * 255) // 319
    green = (y + (x // 16) * 32) % 256
    blue = np.where((x - 160) ** 2 + (y - 128) ** 2 < 80**2, 230, (x * y) // 321 % 256)
    return Image.fromarray(np.stack([red, green, blue], axis=2).astype(np.uint8))


def _embedding(encoder: Embeds) -> np.ndarray:
    return encoder.encode([synthetic_photo()])[0]
