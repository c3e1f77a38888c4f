"""The command `classify`: the likeliest classes of photos, a line each or as JSON."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ...hub.errors import UsageError

if TYPE_CHECKING:
    from .classifier import Guess


def classify(
    folder: Path, photos: list[Path], *, k: Annotated[int, Parameter(name=("-k", "--k"))] = 5, json: bool = False
) -> None:
    """Say what photos show, with a classifier that `goodviews transfer finetune` trained.

    Example: goodviews classify runs/finetune photo.jpg

    Args:
        folder: RUN of a finished fine-tuning, or its folder classifier.
        photos: Photos of any size.
        k: Classes of a photo, the likeliest first; at most all are shown.
        json: Print JSON instead of lines, probabilities from 0 to 1.
    """
    from ...hub.output.terminal import Terminal
    from .files import load_classifier

    if k < 1:
        raise UsageError(f"-k is {k}; it must be 1 or more.")
    found = load_classifier(folder).classify(photos, k=k)
    if json:
        print(json_text.dumps([_to_json(photo, guesses) for photo, guesses in zip(photos, found)], ensure_ascii=False))
        return
    console = Terminal()
    for photo, guesses in zip(photos, found):
        classes = ", ".join(f"{guess.name} {100 * guess.probability:.1f} %" for guess in guesses)
        console.print(f"{photo}: {classes}", highlight=False, markup=False, soft_wrap=True)


def _to_json(photo: Path, guesses: list[Guess]) -> dict[str, object]:
    classes = [{"class": guess.name, "probability": round(guess.probability, 6)} for guess in guesses]
    return {"photo": str(photo), "classes": classes}
