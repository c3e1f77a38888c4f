"""From class scores to accuracies with their intervals, and the scores of each test image as predictions.csv."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from ...hub.files.csv_tables import write_csv
from ...hub.scoring.intervals import wilson


def accuracies(scores: Tensor, labels: Tensor) -> dict[str, float]:
    """Percent right: top-1 with its 95 % interval, top-5 where there are more than five classes, and the mean over
    classes.

    Args:
        scores: (N, C), votes or logits; the highest is the prediction.
        labels: (N,) int64. Classes without a test image do not enter the mean over classes.
    """
    right = scores.argmax(dim=1) == labels
    low, high = wilson(int(right.sum()), len(right))
    metrics = {"top1": percent(right), "top1_low": 100 * low, "top1_high": 100 * high}
    if scores.shape[1] > 5:
        metrics["top5"] = percent(_in_top(scores, labels, 5))
    by_class = [percent(right[labels == label]) for label in labels.unique()]
    return {**metrics, "mean_per_class": sum(by_class) / len(by_class)}


def per_class(predicted: Tensor, labels: Tensor, classes: Sequence[str]) -> dict[str, float]:
    """Percent right of the test images of each class that has any."""
    return {classes[label]: percent(predicted[labels == label] == label) for label in labels.unique().tolist()}


def percent(right: Tensor) -> float:
    """(N,) bool -> the share that is true, in percent."""
    return 100 * int(right.sum()) / len(right)


def _in_top(scores: Tensor, labels: Tensor, k: int) -> Tensor:
    """Whether the label is among the k best. Ties count against it, so that equal scores are no success."""
    own = scores.gather(1, labels[:, None])
    return (scores >= own).sum(dim=1) <= k


def write_predictions(
    path: Path, paths: Sequence[str], labels: Tensor, predicted: Tensor, classes: Sequence[str]
) -> None:
    """One line a test image: path, label, predicted."""
    rows = zip(paths, labels.tolist(), predicted.tolist())
    write_csv(path, ["path", "label", "predicted"], ([name, classes[a], classes[b]] for name, a, b in rows))


def write_image_scores(
    path: Path, paths: Sequence[str], labels: Sequence[str], scores: Mapping[str, Sequence[float]]
) -> None:
    """One line a test image: path, label, and its score in each metric that is a mean over images, in percent.

    `compare` pairs encoders by these columns, which are named after the metrics.
    """
    write_csv(path, ["path", "label", *scores], zip(paths, labels, *scores.values(), strict=True))
