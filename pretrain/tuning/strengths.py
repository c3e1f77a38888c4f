"""How strong the views of one's own photos may be: crop, colour, blur and RandAugment, each at a few levels."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

from ..analysis.pairs import Augmented, two_views
from ..analysis.sweeps import Frame, Point, Sweep
from ..views.operations import ColorJitter, Flip, GaussianBlur, Grayscale
from ..views.rand_augment import RandAugment
from ..views.view import Operation, RandomResizedCrop


@dataclass(frozen=True)
class Strengths:
    """MoCo v2's by default.

    crop: the least share of the photo that a view shows: the smaller, the stronger.
    colour: strength x of the jitter: 0.8 x for brightness, contrast and saturation, 0.2 x for hue; gray photos with it.
    blur: the widest blur in proportion to the published 2 px of 224.
    rand_augment: share of the published chance that a draw of RandAugment is applied.
    """

    crop: float = 0.2
    colour: float = 0.5
    blur: float = 1.0
    rand_augment: float = 0.0


DEFAULT = Strengths()
LEVELS: dict[str, tuple[float, ...]] = {  # from weak to strong; the default is among them
    "crop": (0.8, 0.6, 0.4, 0.2, 0.08),
    "colour": (0.0, 0.25, 0.5, 1.0, 1.5),
    "blur": (0.0, 0.5, 1.0, 2.0, 4.0),
    "rand_augment": (0.0, 0.25, 0.5, 0.75, 1.0),
}
DEFAULT_NAME = "default"


def program_of(strengths: Strengths, px: int) -> tuple[Operation, ...]:
    """The operations of a view, without the crop before and the normalisation after them; strength 0 leaves one out."""
    x, blur = strengths.colour, strengths.blur * 2.0 * px / 224
    steps: list[Operation] = [Flip(p=0.5)]
    if x:
        steps += [ColorJitter(0.8 * x, 0.8 * x, 0.8 * x, min(0.5, 0.2 * x), p=0.8), Grayscale(p=0.2)]
    if blur:
        steps.append(GaussianBlur(sigma=(min(0.1, blur / 2), blur), p=0.5))
    if strengths.rand_augment:
        steps.append(RandAugment(p=0.5 * strengths.rand_augment))
    return tuple(steps)


def views_with(strengths: Strengths, px: int) -> Augmented:
    """Two draws of a view of these strengths."""
    return two_views(RandomResizedCrop(px, scale=(strengths.crop, 1.0)), program_of(strengths, px))


def tune_sweep(frame: Frame) -> Sweep:
    """The default, and each knob at its other levels while the others stay at theirs."""
    points = [Point(DEFAULT_NAME, views_with(DEFAULT, frame.px), frame.training)]
    points += [Point(name, views_with(strengths, frame.px), frame.training) for name, strengths in changed()]
    question = "Which strength of crop, colour, blur and RandAugment suits these photos?"
    return Sweep("tune", question, tuple(points), has_curve=False, scores_rotation=True)


def changed() -> Iterator[tuple[str, Strengths]]:
    """Every level that is not the default, by "KNOB LEVEL"."""
    for knob in knobs():
        for level in LEVELS[knob]:
            if level != getattr(DEFAULT, knob):
                yield f"{knob} {level:g}", replace(DEFAULT, **{knob: level})


def knobs() -> list[str]:
    """What can be made stronger."""
    return [field.name for field in fields(Strengths)]
