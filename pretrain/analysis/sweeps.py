"""The sweeps by name: which points each has, and what is changed from one to the next.

The first half are the InfoMin paper's experiments at small scale (arXiv:2005.10243; provenance of their settings: the
paper's appendix was not at hand, so patch sizes, lower bounds and strengths are ours but for those a line names). The
second half are claims of other papers, tried with the same trainer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

from ..models.heads import HeadKind
from ..views.operations import ColorJitter, Flip, GaussianBlur, Grayscale, Normalize, Solarize
from ..views.rand_augment import RandAugment
from ..views.strong_policy import StrongPolicy
from ..views.view import CentreCrop, Operation, RandomResizedCrop, View
from .colour_spaces import ChannelSplit, FrequencySplit
from .pairs import Augmented, DistantPatches, Pairs, two_views
from .trainer import Training

DISTANCES = 8
BLURS_PX = (0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0)
SPLITS = (("RGB", 0), ("RGB", 1), ("RGB", 2), ("YDbDr", 0), ("YIQ", 0), ("Lab", 0), ("HSV", 0), ("HSV", 2))
LOWER_BOUNDS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)  # the paper's sweet spot: 0.2
STRENGTHS = (0.0, 0.125, 0.25, 0.5, 1.0, 1.5, 2.0)  # the paper's sweet spot: 1
TEMPERATURES, BATCHES = (0.05, 0.1, 0.2, 0.5), (64, 128, 256)
DRAWS = (1, 3, 5, 7)


@dataclass(frozen=True)
class Point:
    """A setting of a sweep; `value` is its place on the axis of what is changed, where that is a number."""

    name: str
    pairs: Pairs
    training: Training
    value: float | None = None


@dataclass(frozen=True)
class Sweep:
    """Several ways of making views, to be compared.

    question: what it is to show, for the report.
    axis: what `Point.value` is, with its unit; empty where points have no order.
    has_curve: whether accuracy over I_NCE is the question, and a quadratic is fitted.
    scores_head: whether what comes after the head is scored too.
    scores_strong: whether strongly changed test photos are scored too.
    scores_rotation: whether telling quarter turns apart is scored too, which needs no labels.
    grid: names of rows and columns where points are a table of pairs.
    """

    name: str
    question: str
    points: tuple[Point, ...]
    axis: str = ""
    has_curve: bool = True
    scores_head: bool = False
    scores_strong: bool = False
    scores_rotation: bool = False
    grid: tuple[tuple[str, ...], tuple[str, ...]] | None = None


@dataclass(frozen=True)
class Frame:
    """What all points of a sweep have in common: the side of views and of the photos in memory, and the training."""

    px: int
    photo_px: int
    training: Training


def spatial_distance(frame: Frame) -> Sweep:
    """Patches of a quarter to three eighths of the photo, from nearly the same place to opposite corners."""
    patch = max(12, frame.photo_px // 4)
    room = frame.photo_px - patch
    distances = sorted({max(1, round(room * number / DISTANCES)) for number in range(1, DISTANCES + 1)})
    points = [
        Point(f"{distance} px", DistantPatches(patch, distance, frame.px), frame.training, distance)
        for distance in distances
    ]
    question = f"Two patches of {patch} px of a photo of {frame.photo_px} px: how far apart should they lie?"
    return Sweep("spatial-distance", question, tuple(points), axis="distance, px to the right and down")


def frequency(frame: Frame) -> Sweep:
    """Low against high frequencies; the paper's best blur is about 0.7 px."""
    points = [
        Point(f"sigma {sigma:g} px", FrequencySplit(sigma, frame.px), frame.training, sigma) for sigma in BLURS_PX
    ]
    question = "A blurred photo and what the blur takes away: where should the frequencies be parted?"
    return Sweep("frequency", question, tuple(points), axis="blur, sigma in px")


def colour_space(frame: Frame) -> Sweep:
    """One channel against the other two."""
    points = [
        Point(f"{_channel(space, alone)} of {space}", ChannelSplit(space, alone, frame.px), frame.training)
        for space, alone in SPLITS
    ]
    return Sweep("colour-space", "One channel against the other two: in which colours?", tuple(points))


def crop_scale(frame: Frame) -> Sweep:
    """The least share of the photo that a view shows, with the colour change of MoCo v2."""
    points = [
        Point(f"{bound:g}", two_views(_crop(frame.px, bound), colour_program(0.5)), frame.training, bound)
        for bound in LOWER_BOUNDS
    ]
    question = "How small may the part of the photo be that a view shows?"
    return Sweep("crop-scale", question, tuple(points), axis="lower bound of the crop's share of the photo")


def colour_jitter(frame: Frame) -> Sweep:
    """Strength x: brightness, contrast, saturation 0.8 x, hue 0.2 x, the definition of the paper."""
    points = [
        Point(f"x = {x:g}", two_views(_crop(frame.px, 0.2), colour_program(x)), frame.training, x) for x in STRENGTHS
    ]
    question = "How much should the colours of the two views differ?"
    return Sweep("colour-jitter", question, tuple(points), axis="strength x of the colour jitter")


def ladder(frame: Frame) -> Sweep:
    """From nearly equal views to InfoMin's, one operation more each time; without its jigsaw, which is no view."""
    half = ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8)
    flip, jitter, blur = Flip(p=0.5), ColorJitter(0.8, 0.8, 0.8, 0.2, p=0.8), infomin_blur(frame.px)
    rungs: list[tuple[str, float, tuple[Operation, ...]]] = [
        ("flip", 1.0, (flip,)),
        ("+ crops of half and more", 0.5, (flip,)),
        ("+ crops of a fifth and more", 0.2, (flip,)),
        ("+ half the colour jitter", 0.2, (flip, half)),
        ("+ all of it", 0.2, (flip, jitter)),
        ("+ blur", 0.2, (flip, jitter, blur)),
        ("+ RandAugment", 0.2, (flip, jitter, blur, RandAugment())),
        ("+ gray: InfoMin Aug", 0.2, (flip, jitter, blur, RandAugment(), Grayscale(p=0.2))),
    ]
    points = [
        Point(name, two_views(_crop(frame.px, bound), program), frame.training, float(number))
        for number, (name, bound, program) in enumerate(rungs)
    ]
    return Sweep("ladder", "Each operation takes something away: when is it too much?", tuple(points), axis="rung")


def compositions(frame: Frame) -> Sweep:
    """SimCLR's heat map: which two operations teach more than one."""
    operations: dict[str, Operation | None] = {
        "crop": None,
        "jitter": ColorJitter(0.8, 0.8, 0.8, 0.2, p=0.8),
        "gray": Grayscale(p=0.5),
        "blur": GaussianBlur(sigma=(0.1, 2.0 * frame.px / 64), p=0.5),
        "solarize": Solarize(p=0.5),
    }
    points = []
    for pair in combinations_with_replacement(operations, 2):
        program = [operation for name, operation in operations.items() if name in pair and operation is not None]
        crop = _crop(frame.px, 0.08) if "crop" in pair else CentreCrop(frame.px, share=1.0)
        points.append(Point(" + ".join(pair), two_views(crop, program), frame.training))
    names = tuple(operations)
    question = "Which two operations together teach more than either alone?"
    return Sweep("compositions", question, tuple(points), has_curve=False, grid=(names, names))


def head(frame: Frame) -> Sweep:
    """No head, a linear one, one with a hidden layer; scored before and after it."""
    pairs = two_views(_crop(frame.px, 0.2), colour_program(1.0))
    kinds: dict[str, HeadKind | None] = {"none": None, "linear": "linear", "mlp": "mlp"}
    points = [Point(name, pairs, replace(frame.training, head=kind)) for name, kind in kinds.items()]
    question = "Is what comes before the head worth more than what comes after it?"
    return Sweep("head", question, tuple(points), has_curve=False, scores_head=True)


def temperature_batch(frame: Frame) -> Sweep:
    """Temperatures and batch sizes, each batch size with the same number of photos seen."""
    pairs, seen = two_views(_crop(frame.px, 0.2), colour_program(1.0)), frame.training.steps * frame.training.batch_size
    points = [
        Point(
            f"T {temperature:g} + batch {batch}",
            pairs,
            replace(frame.training, temperature=temperature, batch_size=batch, steps=max(1, seen // batch)),
        )
        for temperature in TEMPERATURES
        for batch in BATCHES
    ]
    grid = tuple(f"T {temperature:g}" for temperature in TEMPERATURES), tuple(f"batch {batch}" for batch in BATCHES)
    question = "Do larger batches want another temperature?"
    return Sweep("temperature-batch", question, tuple(points), has_curve=False, grid=grid)


def strong(frame: Frame) -> Sweep:
    """CLSA's strong views, contrasted like weak ones or matched, over the number of operations."""
    points = [
        Point(
            f"{draws} operations, {loss}",
            strong_views(frame.px, draws),
            replace(frame.training, loss="naive" if loss == "contrasted" else "match"),
            draws,
        )
        for loss in ("contrasted", "matched")
        for draws in DRAWS
    ]
    question = "Strong views: contrasted like weak ones, or matched with the weak view's distribution?"
    return Sweep(
        "strong", question, tuple(points), axis="operations of the strong view", has_curve=False, scores_strong=True
    )


SWEEPS: dict[str, Callable[[Frame], Sweep]] = {
    "spatial-distance": spatial_distance,
    "frequency": frequency,
    "colour-space": colour_space,
    "crop-scale": crop_scale,
    "colour-jitter": colour_jitter,
    "ladder": ladder,
    "compositions": compositions,
    "head": head,
    "temperature-batch": temperature_batch,
    "strong": strong,
}


def colour_program(strength: float) -> tuple[Operation, ...]:
    """Flip and colour jitter of strength x; no jitter at 0."""
    jitter = ColorJitter(0.8 * strength, 0.8 * strength, 0.8 * strength, 0.2 * strength, p=0.8)
    return (Flip(p=0.5), jitter) if strength else (Flip(p=0.5),)


def infomin_blur(px: int) -> GaussianBlur:
    """InfoMin's, in proportion to the side; at least 0.3 px, or small photos would not notice it."""
    return GaussianBlur(sigma=(0.1, max(0.3, 2.0 * px / 224)), p=0.5, kind="conv23")


def strong_views(px: int, draws: int) -> Augmented:
    """Two weak views as MoCo v2's, and a strong one by CLSA's policy, each its own draw."""
    weak: Sequence[Operation] = (*colour_program(0.5), Grayscale(p=0.2))
    crop, last = _crop(px, 0.2), Normalize()
    strongly = View("strong", crop, (*weak, StrongPolicy(draws=draws, p=0.5), last))
    return Augmented((*two_views(crop, weak).views, strongly))


def _crop(px: int, bound: float) -> RandomResizedCrop:
    return RandomResizedCrop(px, scale=(bound, 1.0))


def _channel(space: str, alone: int) -> str:
    return {"RGB": "RGB", "YDbDr": "Y", "YIQ": "Y", "Lab": "L", "HSV": "HSV"}[space][
        alone if space in ("RGB", "HSV") else 0
    ]
