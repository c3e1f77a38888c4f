"""Weighted nearest neighbours on frozen features, on any train/val image folder.

    goodviews transfer knn --encoder E --data DIR --out runs/knn

Each image is seen once, as the encoder's own preprocessing shows it (input size included: it belongs to the encoder,
and the report's details give it).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..task import Measurement, Setup, Task, name_after_function, require_above_zero
from .check_images import check_images
from .measurement import LAYOUT, UNIT_FEATURES, WILSON, measurement

if TYPE_CHECKING:
    from ...hub.photo_encoder import PhotoEncoder


@name_after_function
def knn() -> Task:
    """Weighted nearest neighbours with the settings of Wu et al. 2018 at k = 20, as most later papers report it."""
    return Task(
        fine_tuned="nothing",
        metric="top-1 accuracy, %",
        primary="top1",
        layout=LAYOUT,
        check=check_images,
        measure=NearestNeighbours(),
        takes_exported=True,
        description={"similarity": "cosine", "features": UNIT_FEATURES, "interval": WILSON},
    )


@dataclass(frozen=True)
class NearestNeighbours:
    """The settings of `knn`; others are reported beside the number, one changed at a time: top1_k1, top1_T0.1, …"""

    k: int = 20
    temperature: float = 0.07
    also_k: tuple[int, ...] = (1, 5, 100, 200)
    also_temperature: tuple[float, ...] = (0.02, 0.1, 0.2)

    def __call__(self, encoder: PhotoEncoder, data: Path, folder: Path, setup: Setup) -> Measurement:
        """Scores `encoder`; where train has fewer than k images, all of them vote and the protocol says so."""
        from ...hub.scoring.knn import weighted_knn
        from .features import frozen_features
        from .scoring import percent

        require_above_zero(self, "k", "temperature", "also_temperature")
        frozen = frozen_features(encoder, data, setup)
        train, test = frozen.train, frozen.test
        k = min(self.k, len(train))
        others = {f"top1_k{other}": (other, self.temperature) for other in self.also_k if 1 <= other <= len(train)}
        others |= {f"top1_T{other:g}": (k, other) for other in self.also_temperature}
        settings = [(k, self.temperature), *others.values()]
        votes = weighted_knn(test.vectors, train.vectors, train.labels, classes=len(frozen.classes), settings=settings)
        more = {name: percent(votes[other].argmax(dim=1) == test.labels) for name, other in others.items()}
        run_settings = {} if k == self.k else {"k": k}
        return measurement(encoder, frozen, votes[settings[0]], folder, metrics=more, run_settings=run_settings)
