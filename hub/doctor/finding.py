"""A line of the diagnosis, and the words for what a thing is needed for."""

from dataclasses import dataclass
from typing import Literal

State = Literal["fine", "note", "missing", "broken"]
EVERYTHING, COCO, DETECTRON2_ENGINE, SPEED = "everything", "COCO detection", "the detectron2 engine", "speed"
ONNX, INDEX, PLOTS = "ONNX export", "index and search", "plots"


@dataclass(frozen=True)
class Finding:
    """What was found of one thing; `fix` is a command, or a sentence where no command can help."""

    subject: str
    state: State
    found: str
    needed_for: str
    fix: str | None = None

    @property
    def is_lacking(self) -> bool:
        """Whether what it is needed for cannot run."""
        return self.state in {"missing", "broken"}

    @property
    def breaks_the_core(self) -> bool:
        """Whether nothing at all can run."""
        return self.is_lacking and self.needed_for == EVERYTHING
