"""The same views with little change of colour, for photos that their colours tell apart."""

from collections.abc import Sequence
from dataclasses import replace

from .operations import ColorJitter, Grayscale
from .view import Operation, View


def with_mild_colour(views: Sequence[View], share: float) -> tuple[View, ...]:
    """The views with that share of their colour jitter and without gray photos.

    What else a program does (RandAugment's colours too) stays. Crops and the numbers drawn for them stay as well.
    """
    return tuple(
        replace(view, program=tuple(_mild(step, share) for step in view.program if not isinstance(step, Grayscale)))
        for view in views
    )


def _mild(step: Operation, share: float) -> Operation:
    if not isinstance(step, ColorJitter):
        return step
    return replace(
        step,
        brightness=step.brightness * share,
        contrast=step.contrast * share,
        saturation=step.saturation * share,
        hue=step.hue * share,
    )
