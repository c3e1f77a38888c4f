"""Classification on frozen features: nearest neighbours and the linear probe, on any train/val image folder.

    goodviews transfer knn --encoder E --data DIR --out runs/knn
    goodviews transfer linear --encoder E --data DIR --out runs/linear

Both see each image once, as the encoder's own preprocessing shows it (input size included: it belongs to the encoder,
and the report's details say it), and both end in report.json, predictions.csv and confusion.png.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..task import Measurement, Setup, Task, require_above_zero

if TYPE_CHECKING:
    from torch import Tensor

    from ...hub.frozen import FrozenEncoder
    from .features import TestData

LAYOUT = "DIR/train/<class>/*.jpg and DIR/val/<class>/*.jpg (or test)"
UNIT_FEATURES = "pooled, unit length, no augmentation"
WILSON = "95 % Wilson over test images"


def knn() -> Task:
    """Weighted nearest neighbours with the settings of Wu et al. 2018 at k = 20, as most later papers report it."""
    return Task(
        name="knn",
        fine_tuned="nothing",
        metric="top-1 accuracy, %",
        primary="top1",
        layout=LAYOUT,
        measure=NearestNeighbours(),
        takes_exported=True,
        description={"similarity": "cosine", "features": UNIT_FEATURES, "interval": WILSON},
    )


def linear() -> Task:
    """Logistic regression on the frozen features, fitted to convergence, its penalty chosen on a held-out part.

    See `linear.py` for why not the published SGD settings.
    """
    return Task(
        name="linear",
        fine_tuned="a linear layer",
        metric="top-1 accuracy, %",
        primary="top1",
        layout=LAYOUT,
        measure=LinearProbe(),
        takes_exported=True,
        description={
            "classifier": "multinomial logistic regression",
            "optimizer": "L-BFGS with strong Wolfe line search, from zero, float32",
            "selection": "l2 by top-1 on the held-out share of each training class, then refitted on all",
            "features": "pooled, standardised by train, no augmentation; unit vectors of an exported encoder",
            "interval": WILSON,
        },
    )


@dataclass(frozen=True)
class NearestNeighbours:
    """The settings of `knn`; others are reported beside the number, one changed at a time: top1_k1, top1_T0.1, …"""

    k: int = 20
    temperature: float = 0.07
    also_k: tuple[int, ...] = (1, 5, 100, 200)
    also_temperature: tuple[float, ...] = (0.02, 0.1, 0.2)

    def __call__(self, encoder: FrozenEncoder, data: Path, folder: Path, setup: Setup) -> Measurement:
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
        changed = {} if k == self.k else {"k": k}
        return measured(encoder, frozen, votes[settings[0]], folder, metrics=more, changed=changed)


@dataclass(frozen=True)
class LinearProbe:
    """The settings of `linear`."""

    l2: tuple[float, ...] = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001, 0.00001)
    held_out: float = 0.2
    max_steps: int = 200

    def __call__(self, encoder: FrozenEncoder, data: Path, folder: Path, setup: Setup) -> Measurement:
        """Scores `encoder`; the details hold the chosen penalty as `chosen_l2`."""
        from ...hub.scoring.linear import fit_probe
        from .features import as_exported, frozen_features

        require_above_zero(self, "l2", "max_steps")
        frozen = frozen_features(encoder, data, setup)
        layer, chosen = fit_probe(
            frozen.train.vectors,
            frozen.train.labels,
            classes=len(frozen.classes),
            l2=self.l2,
            held_out=self.held_out,
            max_steps=self.max_steps,
            seed=setup.seed,
        )
        return measured(
            encoder,
            frozen,
            layer(frozen.test.vectors),
            folder,
            changed=as_exported(encoder),
            details={"chosen_l2": chosen},
        )


def measured(
    encoder: FrozenEncoder,
    data: TestData,
    scores: Tensor,
    folder: Path,
    *,
    metrics: dict[str, float] | None = None,
    changed: dict[str, Any] | None = None,
    description: dict[str, Any] | None = None,
    details: dict[str, Any] | None = None,
) -> Measurement:
    """The metrics of (N, C) class scores of the test images, and the files that belong to every classification run."""
    import torch

    from .features import write_skipped
    from .scoring import accuracies, draw_confusion, per_class, write_predictions

    test, predicted = data.test, scores.argmax(dim=1)
    accuracy = accuracies(scores, test.labels)
    write_predictions(folder / "predictions.csv", test.paths, test.labels, predicted, data.classes)
    title = f"{encoder.name}: {accuracy['top1']:.1f} % of {len(test)} images"
    draw_confusion(folder / "confusion.png", test.labels, predicted, data.classes, title)
    write_skipped(data, folder)
    more = {
        "input_px": encoder.preprocessing.input_px,
        "top1_of_class": per_class(predicted, test.labels, data.classes),
    }
    return Measurement(
        metrics={**accuracy, **(metrics or {})},
        dataset=data.dataset,
        engine=f"torch {torch.__version__}",
        changed=changed or {},
        description=description or {},
        details={**more, **(details or {})},
    )
