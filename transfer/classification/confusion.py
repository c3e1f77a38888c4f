"""confusion.png: how often the images of each class were taken for each other class."""

from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor


def draw_confusion(path: Path, labels: Tensor, predicted: Tensor, classes: Sequence[str], title: str) -> None:
    """Draws a square for each pair of classes: the share of a class (row) that was taken for another (column)."""
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
