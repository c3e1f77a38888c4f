"""From class scores to numbers that may be quoted: accuracy with its interval, the predictions, the confusions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ...hub.csv_tables import write_csv
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
    of_each = [percent(right[labels == label]) for label in labels.unique()]
    return {**metrics, "mean_per_class": sum(of_each) / len(of_each)}


def per_class(predicted: Tensor, labels: Tensor, classes: Sequence[str]) -> dict[str, float]:
    """Percent right of the test images of each class that has any."""
    return {classes[label]: percent(predicted[labels == label] == label) for label in labels.unique().tolist()}


def percent(right: Tensor) -> float:
    """(N,) bool -> how many of a hundred are true."""
    return 100 * int(right.sum()) / len(right)


def _in_top(scores: Tensor, labels: Tensor, k: int) -> Tensor:
    """Whether the label is among the k best. Ties count against it, so equal scores earn nothing."""
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
    """One line a test image: path, label, and what it adds to each metric that is a mean over images, in percent.

    `compare` pairs encoders by these columns, which are named after the metrics.
    """
    write_csv(path, ["path", "label", *scores], zip(paths, labels, *scores.values(), strict=True))


def draw_confusion(path: Path, labels: Tensor, predicted: Tensor, classes: Sequence[str], title: str) -> None:
    """A square for each pair of classes: what share of a class (row) was taken for which (column)."""
    counts = confusion(labels, predicted, len(classes))
    shares = 100 * counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    side = min(max(3.2, 1.6 + 0.42 * len(classes)), 14)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    axes.set(xlabel="predicted", ylabel="label", title=title)
    if len(classes) <= 40:
        axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(classes)), classes)
    if len(classes) <= 20:
        _write_numbers(axes, shares)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, shrink=0.8, label="% of the label's images")
    figure.savefig(path, dpi=130)


def confusion(labels: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """(C, C) counts; row: label, column: predicted."""
    return torch.bincount((labels * classes + predicted).cpu(), minlength=classes**2).reshape(classes, classes)


def _write_numbers(axes: Axes, shares: Tensor) -> None:
    for row, values in enumerate(shares.tolist()):
        for column, share in enumerate(values):
            if share >= 0.5:
                colour = "white" if share > 55 else "0.2"
                axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=8, color=colour)
