"""The fingerprint: what an encoder makes of one fixed synthetic image.

Weights that loaded wrongly (a permuted channel, a missing stage, another normalisation) change it; another machine's
rounding does not, within TOLERANCE.
"""

import hashlib

import numpy as np
import torch
from PIL import Image

from .encoder import Encoder

TOLERANCE = 1e-3  # on unit vectors; fp32 on different processors stays below 1e-5, a wrong batch norm is above 1e-2


def fingerprint(encoder: Encoder) -> list[float]:
    """The unit embedding (F numbers, six digits) of `synthetic_photo`, in float32 on the encoder's device."""
    with torch.inference_mode():
        vector = encoder.encode([synthetic_photo()])[0]
    return [float(f"{value:.6g}") for value in vector]


def fingerprint_difference(encoder: Encoder, expected: list[float]) -> float:
    """Euclidean distance between the encoder's fingerprint and a stored one: 0 equal, 2 opposite, inf another size."""
    found = np.asarray(fingerprint(encoder))
    return float(np.linalg.norm(found - np.asarray(expected))) if len(found) == len(expected) else float("inf")


def synthetic_photo() -> Image.Image:
    """A 320 x 256 RGB image of smooth ramps, stripes and discs, made with integers only: equal everywhere."""
    y, x = np.mgrid[0:256, 0:320]
    red = (x * 255) // 319
    green = (y + (x // 16) * 32) % 256
    blue = np.where((x - 160) ** 2 + (y - 128) ** 2 < 80**2, 230, (x * y) // 321 % 256)
    return Image.fromarray(np.stack([red, green, blue], axis=2).astype(np.uint8))


def weights_sha256(encoder: Encoder) -> str:
    """SHA-256 over the backbone's tensors by name, device and file format aside: equal weights, equal digest."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.backbone.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
