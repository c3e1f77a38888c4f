"""What the kernel of each kind of operation is given: its numbers, in its order, for the images of a pool."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from . import blur
from .encoded import EQUALIZE, KNOWN, STRETCH
from .operations import CONV_RADIUS

_NO_MEAN = 1e30  # instead of an image's area: its mean becomes 0
_HUE_OFFSETS = (5.0, 3.0, 1.0)  # of red, green and blue on the colour wheel, in sixths
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Call:
    """A kernel, by its name, on the pixels from `first` to `end`, in rows of `size`: a chunk's pixels or a side.

    settings: whole numbers that decide what the kernel does, and so are not on the device.
    """

    kernel: str
    first: int
    end: int
    size: int
    settings: tuple[int, ...] = ()


@dataclass
class Numbers:
    """The arrays of a plan, in the order in which its kernels take them."""

    floats: list[Floats] = field(default_factory=list)
    ints: list[Ints] = field(default_factory=list)

    def add(self, *arrays: Floats | Ints) -> None:
        for array in arrays:
            if array.dtype == np.int64:
                self.ints.append(array.ravel().astype(np.int64, copy=False))
            else:
                self.floats.append(array.ravel().astype(np.float64, copy=False))


@dataclass(frozen=True)
class PoolImages:
    """Of every image of a pool: first pixel, side, first chunk and number of chunks."""

    first: Ints
    px: Ints
    chunk: int

    @property
    def chunks(self) -> Ints:
        return self.px**2 // self.chunk


@dataclass(frozen=True)
class Operations:
    """Operations on the images of a pool: image, kind, numbers and, by the second number, a table."""

    images: Ints
    kinds: Ints
    numbers: Floats
    tables: NDArray[np.uint8]

    def taken(self, chosen: Ints) -> "Operations":
        return Operations(self.images[chosen], self.kinds[chosen], self.numbers[chosen], self.tables)


def _chunk_rows(images: PoolImages, chosen: Ints) -> tuple[Ints, Ints]:
    """The chunks of some images, counted from the pool's first, and whose of the chosen each is."""
    counts = images.chunks[chosen]
    each = np.repeat(np.arange(len(chosen)), counts)
    begins = (images.first[chosen] - images.first[0]) // images.chunk
    within = np.arange(len(each)) - np.repeat(np.cumsum(counts) - counts, counts)
    return begins[each] + within, each


def _pool_call(kernel: str, images: PoolImages, settings: tuple[int, ...] = ()) -> Call:
    return Call(kernel, int(images.first[0]), int(images.first[-1] + images.px[-1] ** 2), images.chunk, settings)


def _pack_gray(kernel: str, images: PoolImages, operations: Operations, numbers: Numbers) -> Iterator[Call]:
    numbers.add(_chunk_rows(images, operations.images)[0])
    yield _pool_call(kernel, images)


def _pack_enhance(kernel: str, images: PoolImages, operations: Operations, numbers: Numbers) -> Iterator[Call]:
    rows, each = _chunk_rows(images, operations.images)
    factor, of_gray = operations.numbers[each, :2].T
    areas = np.where(operations.numbers[:, 2] > 0, images.px[operations.images] ** 2, _NO_MEAN)
    numbers.add(rows, factor, of_gray, areas)
    is_whole = len(rows) == len(operations.images)
    if not is_whole:
        numbers.add(each)
    yield _pool_call(kernel, images, (int(operations.numbers[:, 2].any()), int(is_whole)))


def _pack_hue(kernel: str, images: PoolImages, operations: Operations, numbers: Numbers) -> Iterator[Call]:
    rows, each = _chunk_rows(images, operations.images)
    numbers.add(rows, operations.numbers[each, 0], np.array(_HUE_OFFSETS))
    yield _pool_call(kernel, images)


def _pack_table(kernel: str, images: PoolImages, operations: Operations, numbers: Numbers) -> Iterator[Call]:
    """Tables that are known, then those that the images' own histograms give: equalize's, then autocontrast's."""
    source = operations.numbers[:, 0].astype(np.int64)
    known = operations.tables[operations.numbers[source == KNOWN, 1].astype(np.int64)]
    counted = [np.flatnonzero(source == kind) for kind in (EQUALIZE, STRETCH)]
    order = np.concatenate(counted)
    begins = np.zeros((len(source), 3), dtype=np.int64)  # of each channel's table, in all tables
    begins[source == KNOWN] = 256 * np.arange(len(known))[:, None]
    begins[order] = 256 * (len(known) + np.arange(3 * len(order)).reshape(-1, 3))
    rows, each = _chunk_rows(images, operations.images)
    numbers.add(rows, begins[each], known.astype(np.int64))
    if len(order):
        rows, each = _chunk_rows(images, operations.images[order])
        numbers.add(rows, 256 * np.arange(3 * len(order)).reshape(-1, 3)[each])
    yield _pool_call(kernel, images, (len(known), *map(len, counted)))


def _add_places(images: PoolImages, chosen: Ints, numbers: Numbers) -> Ints:
    """For kernels that read other pixels of the image: the chunks, and of each the image's first pixel, side and how
    many of its pixels come before."""
    rows, each = _chunk_rows(images, chosen)
    begins = images.first[chosen][each] - images.first[0]
    numbers.add(rows, begins, images.px[chosen][each], rows * images.chunk - begins)
    return each


def _pack_nearest(kernel: str, images: PoolImages, operations: Operations, numbers: Numbers) -> Iterator[Call]:
    each = _add_places(images, operations.images, numbers)
    steps = operations.numbers[each].astype(np.int64).reshape(-1, 2, 3)
    numbers.add(*steps.transpose(2, 1, 0))  # constant, per column, per row: each (across and down, chunks)
    yield _pool_call(kernel, images)


def _pack_sharpen(kernel: str, images: PoolImages, operations: Operations, numbers: Numbers) -> Iterator[Call]:
    each = _add_places(images, operations.images, numbers)
    numbers.add(operations.numbers[each, 0])
    yield _pool_call(kernel, images)


def _by_side(images: PoolImages, operations: Operations) -> Iterator[tuple[int, int, int, Ints, Floats]]:
    """For each side: first and last pixel of its images, the side, which of them, their numbers."""
    for px in np.unique(images.px[operations.images]).tolist():
        same = np.flatnonzero(images.px == px)
        chosen = images.px[operations.images] == px
        yield (
            int(images.first[same[0]]),
            int(images.first[same[-1]] + px**2),
            px,
            operations.images[chosen] - same[0],
            operations.numbers[chosen],
        )


def _pack_flip(kernel: str, images: PoolImages, operations: Operations, numbers: Numbers) -> Iterator[Call]:
    for first, end, px, rows, _ in _by_side(images, operations):
        numbers.add(rows)
        yield Call(kernel, first, end, px)


def _pack_blur(kernel: str, images: PoolImages, operations: Operations, numbers: Numbers) -> Iterator[Call]:
    for first, end, px, rows, amounts in _by_side(images, operations):
        sigma = torch.from_numpy(amounts[:, 0].copy())
        weights = blur.box_weights(sigma).long() if kernel == "boxes" else blur.tap_weights(sigma, CONV_RADIUS).double()
        numbers.add(rows, weights.numpy())
        yield Call(kernel, first, end, px, (len(rows),))


def _pack_slide(kernel: str, images: PoolImages, operations: Operations, numbers: Numbers) -> Iterator[Call]:
    for first, end, px, rows, amounts in _by_side(images, operations):
        order = np.argsort(-amounts[:, 2], kind="stable")  # along rows first
        across = int((amounts[:, 2] == 3).sum())
        numbers.add(rows[order][:across], rows[order][across:], *amounts[order][:, [0, 1, 3]].T, np.array(_FILL), _FOUR)
        yield Call(kernel, first, end, px)


def _pack_turn(kernel: str, images: PoolImages, operations: Operations, numbers: Numbers) -> Iterator[Call]:
    for first, end, px, rows, amounts in _by_side(images, operations):
        cos, sin, cubic = amounts[:, :3].T
        numbers.add(rows, np.stack([cos, sin]), np.stack([-sin, cos]), cubic, np.array(_FILL), _FOUR)
        yield Call(kernel, first, end, px)


_FOUR = np.arange(-1, 3)  # the pixels that an interpolation reads, from the one before a position
_FILL = (124.0, 116.0, 104.0)
PACKERS = {
    "flip": _pack_flip,
    "gray": _pack_gray,
    "enhance": _pack_enhance,
    "nearest": _pack_nearest,
    "sharpen": _pack_sharpen,
    "table": _pack_table,
    "slide": _pack_slide,
    "hue": _pack_hue,
    "turn": _pack_turn,
    "taps": _pack_blur,
    "boxes": _pack_blur,
}
