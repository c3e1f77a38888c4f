"""From the class scores of test images to a measurement, and the files that every classification run leaves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..task import Measurement

if TYPE_CHECKING:
    from torch import Tensor

    from ...hub.photo_encoder import PhotoEncoder
    from .features import TestData

LAYOUT = "DIR/train/<class>/*.jpg and DIR/val/<class>/*.jpg (or test)"
# Sentences that several tasks have in their descriptions.
UNIT_FEATURES = "pooled, unit length, no augmentation"
WILSON = "95 % Wilson over test images"


def measurement(
    encoder: PhotoEncoder,
    data: TestData,
    scores: Tensor,
    folder: Path,
    *,
    metrics: dict[str, float] | None = None,
    run_settings: dict[str, Any] | None = None,
    description: dict[str, Any] | None = None,
    details: dict[str, Any] | None = None,
) -> Measurement:
    """The metrics of (N, C) class scores of the test images, and the files that belong to every classification run."""
    import torch

    from .confusion import draw_confusion
    from .features import write_skipped
    from .scoring import accuracies, per_class, write_predictions

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
        run_settings=run_settings or {},
        description=description or {},
        details={**more, **data.copies, **(details or {})},
    )
