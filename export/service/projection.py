"""A map of an index: its vectors in two dimensions."""

from dataclasses import dataclass

import numpy as np

WIDE = 8  # directions that are followed to find two
TURNS = 12


@dataclass(frozen=True)
class Projection:
    """Points in 0-1, and the share of the vectors' variance that the two directions hold."""

    points: np.ndarray  # (N, 2) float32
    variance: float


def project(vectors: np.ndarray) -> Projection:
    """The two directions in which vectors differ most (principal components), by subspace iteration.

    Args:
        vectors: (N, F) float32.
    """
    count = len(vectors)
    if count < 3:
        return Projection(np.linspace(0.25, 0.75, 2 * count, dtype=np.float32).reshape(count, 2), 1.0)
    centred = vectors - vectors.mean(axis=0)
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((vectors.shape[1], min(WIDE, *vectors.shape))))[0]
    for _ in range(TURNS):
        basis = np.linalg.qr(centred.T @ (centred @ basis))[0]
    projected = centred @ basis
    rotation = np.linalg.eigh(projected.T @ projected)[1][:, ::-1][:, :2]
    flat = projected @ rotation
    total = float((centred**2).sum())
    variance = float((flat**2).sum()) / total if total > 0 else 1.0
    return Projection(_within_square(_upright(flat)), variance)


def _upright(flat: np.ndarray) -> np.ndarray:
    """The sign of a direction is arbitrary: the heavier tail lies at the right and at the top."""
    signs = np.where((flat**3).sum(axis=0) < 0, -1, 1)
    upright: np.ndarray = flat * signs
    return upright


def _within_square(flat: np.ndarray) -> np.ndarray:
    low, high = np.quantile(flat, [0.002, 0.998], axis=0)
    span = np.maximum(high - low, 1e-9)
    square: np.ndarray = np.clip((flat - low) / span, 0, 1).astype(np.float32)
    return square
