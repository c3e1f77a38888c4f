"""The lines of metrics.jsonl for Weights & Biases. Only here is its library imported."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..errors import GoodviewsError, MissingExtra

FOLDER = "wandb"  # in RUN: what the library writes, and the name under which a resumed run goes on
_NAME = "goodviews-id"


class WandbBoard:
    """One run of the project "goodviews", or of $WANDB_PROJECT; a resumed RUN goes on with the same one.

    Args:
        folder: the RUN folder, whose name the run has.
        about: recorded as its configuration.

    Raises:
        MissingExtra: wandb is not installed.
        GoodviewsError: the library refuses, e.g. without a login; WANDB_MODE=offline writes to RUN/wandb alone.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]):
        wandb = _library()
        name = folder / FOLDER / _NAME
        name.parent.mkdir(parents=True, exist_ok=True)
        if not name.is_file():
            name.write_text(uuid4().hex[:8], encoding="utf-8")
        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "goodviews"),
                name=folder.resolve().name,
                dir=str(folder),
                id=name.read_text("utf-8"),
                resume="allow",
                config=dict(about),
            )
        except wandb.Error as error:
            raise GoodviewsError(
                f"--log wandb: the library refuses ({error}); run `wandb login`, or set WANDB_MODE=offline."
            ) from error
        self._run.define_metric("*", step_metric="step")

    def write(self, line: Mapping[str, Any]) -> None:
        """Take in a line of metrics.jsonl."""
        self._run.log({name: value for name, value in line.items() if _is_number(value)})

    def close(self) -> None:
        """Hand over what is left."""
        self._run.finish()


def require_wandb() -> None:
    """Raises MissingExtra where wandb is not installed."""
    _library()


def _library() -> Any:
    try:
        import wandb
    except ImportError:
        raise MissingExtra("wandb", extra="wandb", needed_for="--log wandb") from None
    return wandb


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
