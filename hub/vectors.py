"""Vectors that a sound encoder never gives: NaN, infinity, and zeros for every photo. Torch-free."""

import numpy as np

from .errors import ArtifactError


def refuse_odd_vectors(vectors: np.ndarray, name: str) -> np.ndarray:
    """The (N, F) vectors that an encoder gave, if they are sound.

    Raises:
        ArtifactError: one holds NaN or infinity, or all are zero.
    """
    if not np.isfinite(vectors).all():
        raise ArtifactError(
            f"The encoder {name} gives NaN or infinity for photos; its weights are damaged, use another."
        )
    if len(vectors) and not vectors.any():
        raise ArtifactError(f"The encoder {name} gives zeros for every photo; its weights are damaged, use another.")
    return vectors
