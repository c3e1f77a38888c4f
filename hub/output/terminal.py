"""The terminal: rich's console, through which nothing that others chose can command it."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from .printing import shown


class Terminal(Console):
    """Prints control characters in names as they are written in Python; its own colours stay."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The pieces of what is printed; only those of text can hold what others chose."""
        for piece in super().render(renderable, options):
            text, style, control = piece
            yield piece if control else Segment(shown(text, keep="\n"), style)
