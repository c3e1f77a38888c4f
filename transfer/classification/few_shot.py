"""Few-shot classification: many small problems on frozen features, their mean accuracy and its 95 % interval.

    goodviews transfer few-shot-5way-5shot --encoder E --data DIR --out runs/few-shot

An episode draws a few classes, a few train images of each as examples, and test images of them as queries; a query goes
to the class whose mean example is nearest by cosine. Nothing is trained, so the number shows the features.

Source: Snell et al. 2017 (arXiv:1703.05175). Other papers draw examples and queries from one pool and use other
distances: compare only reports of this task.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..task import Measurement, Setup, Task, name_after_function
from .check_images import check_images
from .measurement import LAYOUT, UNIT_FEATURES

if TYPE_CHECKING:
    from torch import Tensor

    from ...hub.photo_encoder import PhotoEncoder
    from .features import FrozenData


@name_after_function
def few_shot_5way_1shot() -> Task:
    """Five classes, one example of each."""
    return _task(FewShot(shots=1))


@name_after_function
def few_shot_5way_5shot() -> Task:
    """Five classes, five examples of each."""
    return _task(FewShot(shots=5))


@name_after_function
def few_shot_5way_20shot() -> Task:
    """Five classes, twenty examples of each."""
    return _task(FewShot(shots=20))


@dataclass(frozen=True)
class FewShot:
    """The settings of the few-shot tasks."""

    shots: int
    ways: int = 5
    queries: int = 15  # of each class
    episodes: int = 600

    def __call__(self, encoder: PhotoEncoder, data: Path, folder: Path, setup: Setup) -> Measurement:
        """Scores `encoder`; the seed draws the episodes.

        Raises:
            DataError: too few classes have enough images.
            UsageError: a setting is below 1, or fewer than two classes or episodes are asked for.
        """
        import torch

        from ...hub.errors import UsageError
        from ...hub.scoring.intervals import normal
        from .features import frozen_features, write_skipped

        if min(self.shots, self.queries) < 1 or min(self.ways, self.episodes) < 2:
            raise UsageError("A few-shot task needs shots and queries of 1 or more, ways and episodes of 2 or more.")
        frozen = frozen_features(encoder, data, setup)
        accuracies = torch.tensor(_episodes(self, frozen, setup.seed), dtype=torch.float64)
        write_skipped(frozen, folder)
        low, high = normal(accuracies.numpy())
        return Measurement(
            metrics={"top1": float(accuracies.mean()), "top1_low": max(0.0, low), "top1_high": min(100.0, high)},
            dataset=frozen.dataset,
            engine=f"torch {torch.__version__}",
            details={
                "deviation_of_an_episode": float(accuracies.std()),
                "input_px": encoder.preprocessing.input_px,
                **frozen.copies,
            },
        )


def _episodes(task: FewShot, frozen: FrozenData, seed: int) -> list[float]:
    """Percent right in each episode."""
    import numpy as np
    import torch
    import torch.nn.functional as F

    examples, queries = _rows_of_classes(frozen.train.labels), _rows_of_classes(frozen.test.labels)
    classes = [c for c in examples if len(examples[c]) >= task.shots and len(queries.get(c, ())) >= task.queries]
    _check(task, frozen, len(classes))
    train, test = F.normalize(frozen.train.vectors, dim=1), F.normalize(frozen.test.vectors, dim=1)
    accuracies = []
    for episode in range(task.episodes):
        random = np.random.default_rng((seed, episode))
        ways = random.choice(classes, task.ways, replace=False).tolist()
        example_rows = np.stack([random.choice(examples[c], task.shots, replace=False) for c in ways])
        query_rows = np.stack([random.choice(queries[c], task.queries, replace=False) for c in ways])
        accuracies.append(_accuracy(train[torch.from_numpy(example_rows)], test[torch.from_numpy(query_rows)]))
    return accuracies


def _accuracy(examples: Tensor, queries: Tensor) -> float:
    """Percent of the queries (ways, q, F) nearest to the mean of their own class's examples (ways, shots, F)."""
    import torch.nn.functional as F

    from .scoring import percent

    means = F.normalize(examples.mean(dim=1), dim=1)
    nearest = (queries @ means.T).argmax(dim=2)  # (ways, q)
    right = nearest == nearest.new_tensor(range(len(means)))[:, None]
    return percent(right.flatten())


def _rows_of_classes(labels: Tensor) -> dict[int, list[int]]:
    rows: dict[int, list[int]] = {}
    for row, label in enumerate(labels.tolist()):
        rows.setdefault(label, []).append(row)
    return rows


def _check(task: FewShot, frozen: FrozenData, classes: int) -> None:
    from ...hub.errors import DataError

    if classes < task.ways:
        raise DataError(
            f"{frozen.dataset['name']} has {classes} classes with {task.shots} readable train and {task.queries} test "
            f"images, and an episode draws {task.ways}; add images, or change ways, shots or queries with --set."
        )


def _task(measure: FewShot) -> Task:
    return Task(
        fine_tuned="nothing",
        metric="top-1 accuracy over episodes, %",
        primary="top1",
        layout=LAYOUT,
        check=check_images,
        measure=measure,
        takes_exported=True,
        description={
            "classifier": "nearest class mean of unit features, cosine",
            "features": UNIT_FEATURES,
            "split": "examples from train, queries from the test part",
            "interval": "95 % over episodes, normal",
        },
    )
