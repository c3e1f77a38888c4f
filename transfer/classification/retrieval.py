"""Class retrieval: for each test image as a query, all train images are ranked by their similarity to it.

    goodviews transfer retrieval --encoder E --data DIR --out runs/retrieval

The images of the query's class are relevant. mAP is the mean over queries of the average precision: of the precision at
the rank of each relevant image, without interpolation; recall@k is the share of queries with an image of their class
among the first k. How well copies of a photo are found measures `retrieval-copies`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..task import Measurement, Setup, Task, name_after_function
from .check_images import check_images
from .measurement import LAYOUT, UNIT_FEATURES

if TYPE_CHECKING:
    from ...hub.photo_encoder import PhotoEncoder


@name_after_function
def retrieval() -> Task:
    """Mean average precision over test images as queries, train images as gallery."""
    return Task(
        fine_tuned="nothing",
        metric="mean average precision over queries, %",
        primary="mAP",
        layout=LAYOUT,
        check=check_images,
        measure=ClassRetrieval(),
        takes_exported=True,
        description={
            "similarity": "cosine",
            "features": UNIT_FEATURES,
            "split": "queries from the test part, gallery: train",
            "scoring": "precision at each relevant rank, over the whole gallery",
            "interval": "95 % over queries, normal",
        },
    )


@dataclass(frozen=True)
class ClassRetrieval:
    """The settings of `retrieval`; precision and recall among the first `at` are reported beside the number."""

    at: tuple[int, ...] = (1, 10)

    def __call__(self, encoder: PhotoEncoder, data: Path, folder: Path, setup: Setup) -> Measurement:
        """Scores `encoder`; the details hold the mean of each class."""
        import torch

        from ...hub.scoring.intervals import normal
        from ...hub.scoring.retrieval import rank_gallery
        from .features import frozen_features, write_skipped
        from .scoring import write_image_scores

        frozen = frozen_features(encoder, data, setup)
        write_skipped(frozen, folder)
        labels, at = frozen.test.labels, [k for k in self.at if 1 <= k <= len(frozen.train)]
        precisions, among_first = rank_gallery(
            frozen.test.vectors, labels, frozen.train.vectors, frozen.train.labels, at=at
        )
        low, high = normal(precisions.cpu().numpy())
        of_class = {frozen.classes[label]: precisions[labels == label] for label in labels.unique().tolist()}
        recalls = {f"recall_at_{k}": among_first[k] > 0 for k in at}
        each = {"mAP": precisions, **{f"precision_at_{k}": among_first[k] for k in at}, **recalls}
        write_image_scores(
            folder / "predictions.csv",
            frozen.test.paths,
            [frozen.classes[label] for label in labels.tolist()],
            {metric: (100 * values.double()).tolist() for metric, values in each.items()},
        )
        return Measurement(
            metrics={
                "mAP": 100 * float(precisions.mean()),
                "mAP_low": 100 * max(0.0, low),
                "mAP_high": 100 * min(1.0, high),
                **{f"precision_at_{k}": 100 * float(among_first[k].mean()) for k in at},
                **{name: 100 * float(hit.double().mean()) for name, hit in recalls.items()},
            },
            dataset=frozen.dataset,
            engine=f"torch {torch.__version__}",
            details={
                "input_px": encoder.preprocessing.input_px,
                **frozen.copies,
                "mAP_of_class": {name: 100 * float(values.mean()) for name, values in of_class.items()},
            },
        )
