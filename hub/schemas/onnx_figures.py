"""onnx/figures.json of an encoder folder."""

from typing import Annotated

from pydantic import Field

from .record import Record, Text, Word


class Figures(Record):
    """What was measured of one file."""

    file: Word
    measured: dict[str, float]
    how: Text


class FiguresFile(Record):
    """The file."""

    files: Annotated[list[Figures], Field(max_length=100)]
