"""What `goodviews transfer TASK --check` tells of a data folder. Each reader has its own check, which returns this."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class DataCheck:
    """What a folder holds, in words, and a sentence for everything that is wrong with it or left out of it."""

    summary: str
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()  # what does not prevent training


def count_classes(classes: Sequence[str]) -> str:
    """In words: "3 classes"."""
    return f"{len(classes)} classes" if len(classes) > 1 else "one class"
