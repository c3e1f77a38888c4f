"""The curves of a training in an encoder folder: its figures, line by line, and the picture drawn from them."""

import json
import math
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArtifactError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = "figures/training.jsonl"
PICTURE = "figures/training.png"
MOST_LINES = 400  # of losses: more than a picture can show
LARGEST = 4 * 2**20  # bytes that are read
_KEPT = ("step", "epoch", "loss", "knn_top1", "lr")
_LOSS, _KNN, _INK, _FAINT = "#1f6f8b", "#b5651d", "#202124", "#dadce0"


def thin(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, float]]:
    """What an encoder folder records of RUN/metrics.jsonl: every online kNN, and evenly chosen losses with the last."""
    kept = [{name: line[name] for name in _KEPT if name in line} for line in lines]
    losses = [number for number, line in enumerate(kept) if "knn_top1" not in line]
    every = max(1, math.ceil(len(losses) / MOST_LINES))
    chosen = set(losses[::-1][::every])
    return [line for number, line in enumerate(kept) if number in chosen or "knn_top1" in line]


def curves_text(lines: Iterable[Mapping[str, Any]]) -> str:
    """The file's content: one JSON object a line."""
    return "".join(json.dumps(line) + "\n" for line in lines)


def read_curves(folder: Path) -> list[dict[str, float]]:
    """The lines of an encoder folder; none where its training left no figures.

    Raises:
        ArtifactError: the file is damaged.
    """
    path = folder / LINES
    if not path.is_file():
        return []
    if path.stat().st_size > LARGEST:
        raise ArtifactError(f"{path} is larger than {LARGEST:,} bytes; delete it, or copy the folder again.")
    try:
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    except (ValueError, RecursionError):
        raise ArtifactError(f"{path} is not one JSON object a line; delete it, or copy the folder again.") from None
    if not all(isinstance(line, dict) and _is_number(line.get("epoch")) for line in lines):
        raise ArtifactError(f"{path} has a line without an epoch; delete it, or copy the folder again.")
    return [{name: value for name, value in line.items() if _is_number(value)} for line in lines]


def draw_curves(lines: Iterable[Mapping[str, float]]) -> bytes | None:
    """A PNG with a panel for the loss and one for the online kNN, over epochs; None where there is nothing to draw."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    panels = [
        (name, label, colour, points)
        for name, label, colour in (("loss", "loss", _LOSS), ("knn_top1", "online kNN, top-1 %", _KNN))
        if (points := [(line["epoch"], line[name]) for line in lines if name in line])
    ]
    if not panels:
        return None
    figure = Figure(figsize=(4.1 * len(panels), 3), layout=ConstrainedLayoutEngine(w_pad=0.12))
    for axes, (_, label, colour, points) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels):
        _draw_panel(axes, label, colour, points)
    content = BytesIO()
    figure.savefig(content, format="png", dpi=140, metadata={"Software": None})
    return content.getvalue()


def _draw_panel(axes: "Axes", label: str, colour: str, points: list[tuple[float, float]]) -> None:
    axes.plot(*zip(*points), color=colour, linewidth=1.6, marker="o" if len(points) < 40 else "", markersize=3)
    axes.set_title(label, loc="left", fontsize=10, fontweight="bold", color=_INK)
    axes.set_xlabel("epoch", fontsize=9, color=_INK)
    axes.grid(color=_FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=_INK, labelsize=9)
    axes.spines[:].set_visible(False)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
