"""A toy set made by code, in which three things are known of every image: which digit, where, before which photo.

scikit-learn's handwritten digits stand on parts of the photos that goodviews ships. Two views share some of the three,
and all else is drawn anew: another digit of the same class, another place in the same cell, another part of the photo.

After the InfoMin paper's Colorful Moving-MNIST (arXiv:2005.10243, section 4), whose code we have not seen: there a
view is a sequence of frames or an image; here both are images.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ...hub.errors import MissingExtra
from ...hub.images import read_image
from .pairs import centred, cut, normalized
from .photo_arrays import PhotoSet, SplitPhotos, square
from .sweeps import Frame, Point, Sweep

FACTORS = ("digit", "position", "background")
DIGITS, CELLS, BACKGROUNDS = 10, 3, 10  # classes; cells a side; photos
_DIGIT_SHARE = 3 / 8  # of the image's side
_IS_TEST = "is_test"  # beside the factors: whose digits the views of these images are made of
_DARKEN = 0.6  # photos behind digits, so that white ones can be seen on all of them
_TRAIN_DIGITS = 1400  # of 1797; the others are for tests


@dataclass(frozen=True)
class ToyPairs:
    """Two images that share some of the three factors."""

    shared: tuple[str, ...]
    px: int

    channels = (3,)

    def draw(self, photos: PhotoSet, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        first = {name: photos.labels[name][rows] for name in FACTORS}
        other = draw_factors(len(rows), generator)
        second = {name: first[name] if name in self.shared else other[name] for name in FACTORS}
        is_test = bool(photos.labels[_IS_TEST].any())
        images = (render_toy(factors, self.px, generator, is_test=is_test) for factors in (first, second))
        return tuple(map(normalized, images))

    def whole(self, images: Tensor) -> tuple[Tensor, ...]:
        return (centred(images, self.px),)


def toy_photos(*, px: int, train: int, test: int, seed: int) -> SplitPhotos:
    """Images of drawn factors, and their labels."""
    parts = [_part(count, px, seed + number, is_test=bool(number)) for number, count in enumerate((train, test))]
    classes = {"digit": DIGITS, "position": CELLS**2, "background": BACKGROUNDS}
    about = {"name": "digits over photos", "train": train, "test": test, "px": px, "digest": f"toy-{seed}"}
    return SplitPhotos(parts[0], parts[1], classes, about)


def toy(frame: Frame) -> Sweep:
    """Every choice of what the two views share."""
    points = [
        Point(" + ".join(shared), ToyPairs(shared, frame.px), frame.training)
        for count in (1, 2, 3)
        for shared in combinations(FACTORS, count)
    ]
    question = "Which task is helped by what the views share?"
    return Sweep("toy", question, tuple(points), has_curve=False)


def draw_factors(count: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Independent and uniform: (count,) of each."""
    sizes = {"digit": DIGITS, "position": CELLS**2, "background": BACKGROUNDS}
    return {name: torch.randint(size, (count,), generator=generator) for name, size in sizes.items()}


def render_toy(factors: dict[str, Tensor], px: int, generator: torch.Generator, *, is_test: bool) -> Tensor:
    """(N, 3, px, px), uint8; everything that the factors leave open is drawn."""
    scene = scenes(factors, px, generator)
    mask = ink(factors, px, generator, is_test=is_test)[:, None]
    return (scene * (1 - mask) + 255 * mask).round().to(torch.uint8)


def scenes(factors: dict[str, Tensor], px: int, generator: torch.Generator) -> Tensor:
    """(N, 3, px, px), 0-255: a part of each background, darker than the photo."""
    behind = _backgrounds(2 * px)[factors["background"]]
    top, left = torch.randint(px + 1, (2, len(behind)), generator=generator)
    return cut(behind, top, left, px).float() * _DARKEN


def ink(factors: dict[str, Tensor], px: int, generator: torch.Generator, *, is_test: bool) -> Tensor:
    """(N, px, px), 0-1: where the digits are."""
    count, side = len(factors["digit"]), round(px * _DIGIT_SHARE)
    digits = _digits(factors["digit"], side, generator, is_test=is_test)
    cell = torch.stack([factors["position"] // CELLS, factors["position"] % CELLS])
    inside = torch.rand(2, count, generator=generator)
    down, across = ((cell + inside) / CELLS * (px - side + 1)).long()
    rows = (down[:, None] + torch.arange(side))[:, :, None]
    columns = (across[:, None] + torch.arange(side))[:, None, :]
    mask = torch.zeros(count, px, px)
    mask[torch.arange(count)[:, None, None], rows, columns] = digits
    return mask


def _part(count: int, px: int, seed: int, *, is_test: bool) -> PhotoSet:
    generator = torch.Generator().manual_seed(seed)
    factors = draw_factors(count, generator)
    images = render_toy(factors, px, generator, is_test=is_test)
    return PhotoSet(images, {**factors, _IS_TEST: torch.full((count,), int(is_test))})


def _digits(classes: Tensor, side: int, generator: torch.Generator, *, is_test: bool) -> Tensor:
    """A digit of each class, drawn among those of the part: (N, side, side), 0-1."""
    images, labels = _handwritten()
    part = slice(_TRAIN_DIGITS, None) if is_test else slice(0, _TRAIN_DIGITS)
    images, labels = images[part], labels[part]
    chosen = torch.empty(len(classes), dtype=torch.long)
    for digit in range(DIGITS):
        there, rows = (classes == digit).nonzero()[:, 0], (labels == digit).nonzero()[:, 0]
        chosen[there] = rows[torch.randint(len(rows), (len(there),), generator=generator)]
    return F.interpolate(images[chosen][:, None], size=(side, side), mode="bilinear", align_corners=False)[:, 0]


@lru_cache(maxsize=1)
def _handwritten() -> tuple[Tensor, Tensor]:
    """(1797, 8, 8), 0-1, and their classes."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        raise MissingExtra("scikit-learn", extra="toy", needed_for="The toy set") from None
    found = load_digits()
    return torch.from_numpy(found.images).float() / 16, torch.from_numpy(found.target).long()


@lru_cache(maxsize=4)
def _backgrounds(px: int) -> Tensor:
    """(BACKGROUNDS, 3, px, px) photos of outdoor scenes and rooms."""
    return torch.stack([square(read_image(path), px) for path in _scenes()])


def _scenes() -> Iterator[Path]:
    root = Path(str(files("goodviews.hub"))) / "photos" / "train"
    for folder in ("indoors", "outdoors"):
        yield from sorted((root / folder).glob("*.jpg"))[: BACKGROUNDS // 2]
