"""Whether a file's vectors may stand in for PyTorch's: cosine, nearest neighbours, and what the neighbours say.

A high cosine alone flatters: embeddings share a direction, so those of different photos are alike too. Therefore the
overlap of the 10 nearest neighbours counts as well, and the accuracy of their vote where labels are known.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from ...hub.onnx_encoder import OnnxEncoder, Variant
from ...hub.photo_encoder import PhotoEncoder
from .samples import Sample

NEIGHBOURS = 10


@dataclass(frozen=True)
class Limits:
    """What a file must reach.

    Attributes:
        largest: cosine distance of the worst photo; None where only the mean counts.
        mean: mean cosine distance.
        overlap: share of the 10 nearest neighbours that are the same ones.
        knn_loss: points of accuracy by the neighbours' vote that may be lost.
    """

    largest: float | None
    mean: float
    overlap: float = 0.9
    knn_loss: float = 1.0


# float32 and fp16 by the worst photo: their rounding is even. int8 by the mean, since a photo unlike those of the
# calibration may be far off; its neighbours and their vote are what a search would notice.
LIMITS: dict[tuple[Variant, str], Limits] = {
    ("fp32", "pixels"): Limits(1e-5, 1e-5),
    ("fp32", "image"): Limits(1e-3, 1e-3),  # odd sizes; the resize rounds otherwise than Pillow here and there
    ("fp16", "pixels"): Limits(1e-4, 1e-4),
    ("fp16", "image"): Limits(1e-3, 1e-3),
    ("int8", "pixels"): Limits(None, 2e-2),
    ("int8", "image"): Limits(None, 2e-2),
}
SPREAD_SHARE = 0.1  # and no distance to PyTorch may exceed this share of that between different photos


@dataclass(frozen=True)
class Difference:
    """Cosine distances between PyTorch's and the file's vectors of the same photos, and what follows from them.

    Attributes:
        photos: their number.
        largest: distance, of the worst photo.
        mean: distance.
        spread: mean distance between different photos, without which the others mean nothing.
        limit: what `largest`, or for int8 `mean`, must not exceed.
        overlap: of the 10 nearest neighbours among the photos; None where there are too few.
        knn: accuracy of their vote, percent; None where labels are unknown.
        knn_pytorch: the same with PyTorch's vectors.
    """

    photos: int
    largest: float
    mean: float
    spread: float
    limit: float
    overlap: float | None = None
    knn: float | None = None
    knn_pytorch: float | None = None

    def to_json(self) -> dict[str, float]:
        """What was measured; nothing of the rest."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def knn_change(self) -> float | None:
        """Points won, below 0 for lost ones."""
        return None if self.knn is None or self.knn_pytorch is None else self.knn - self.knn_pytorch


def compare(
    found: np.ndarray, expected: np.ndarray, limits: Limits, labels: NDArray[np.int64] | None = None
) -> Difference:
    """How far a file's (N, F) vectors are from PyTorch's; neighbours are looked up where N suffices."""
    found, expected = (_units(rows.astype(np.float64)) for rows in (found, expected))
    distances = 1 - (found * expected).sum(axis=1)
    spread = float((1 - expected @ expected.T)[np.triu_indices(len(expected), 1)].mean())
    limit = limits.mean if limits.largest is None else limits.largest
    near = len(found) > 2 * NEIGHBOURS
    ours, theirs = (_neighbours(rows) if near else None for rows in (found, expected))
    has_vote = ours is not None and theirs is not None and labels is not None
    return Difference(
        photos=len(expected),
        largest=float(distances.max()),
        mean=float(distances.mean()),
        spread=spread,
        limit=min(limit, SPREAD_SHARE * spread),
        overlap=_overlap(ours, theirs) if ours is not None and theirs is not None else None,
        knn=_vote(ours, labels) if has_vote else None,  # type: ignore[arg-type]
        knn_pytorch=_vote(theirs, labels) if has_vote else None,  # type: ignore[arg-type]
    )


def refusal(difference: Difference, limits: Limits) -> str | None:
    """Why a file must not be written, as the end of a sentence; None for a good one."""
    d = difference
    distance = d.mean if limits.largest is None else d.largest
    which = "on average " if limits.largest is None else ""
    if not distance <= d.limit:
        return f"is {which}{distance:.2g} away from PyTorch in cosine distance, where at most {d.limit:.2g} is allowed"
    if d.overlap is not None and not d.overlap >= limits.overlap:
        return f"finds {d.overlap:.1%} of PyTorch's 10 nearest neighbours, where {limits.overlap:.0%} are wanted"
    if d.knn_change is not None and not -d.knn_change <= limits.knn_loss:
        return (
            f"loses {-d.knn_change:.1f} points of kNN accuracy ({d.knn_pytorch:.1f} % with PyTorch), "
            f"where at most {limits.knn_loss:g} may be lost"
        )
    return None


def vectors_of(encoders: Mapping[str, PhotoEncoder | OnnxEncoder], sample: Sample) -> dict[str, np.ndarray]:
    """(N, F) by name: every encoder's vectors of the sample's photos, each decoded once."""
    rows: dict[str, list[np.ndarray]] = {name: [] for name in encoders}
    for batch in sample.batches():
        for name, encoder in encoders.items():
            rows[name].append(encoder.encode(batch))
    return {name: np.concatenate(parts) for name, parts in rows.items()}


def _units(rows: np.ndarray) -> np.ndarray:
    units: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return units


def _neighbours(units: np.ndarray) -> NDArray[np.intp]:
    """(N, 10) rows nearest to each other row, itself left out."""
    similarities = units @ units.T
    np.fill_diagonal(similarities, -np.inf)
    return np.argsort(-similarities, axis=1, kind="stable")[:, :NEIGHBOURS]


def _overlap(ours: NDArray[np.intp], theirs: NDArray[np.intp]) -> float:
    return float(np.mean([len(np.intersect1d(a, b)) / NEIGHBOURS for a, b in zip(ours, theirs)]))


def _vote(neighbours: NDArray[np.intp], labels: NDArray[np.int64]) -> float:
    """Percent of rows whose most frequent neighbouring class, the nearer one of two alike, is their own."""
    votes = labels[neighbours]
    counts = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)  # the first of the largest is the nearest
    winners = np.take_along_axis(votes, counts.argmax(axis=1)[:, None], axis=1)[:, 0]
    return float(100 * np.mean(winners == labels))
