"""What is done to all views of a step, worked out on the CPU: which kernels, on which images, with which numbers.

The images of all views lie in one tensor of pixels, (P, 3). Views whose sides have a common divisor form a pool, in
which an image is a row of equal chunks; so an operation on colours changes images of several sizes at once. Kernels
find their numbers one after another in a tensor of floats and one of integers, which travel with the pixels.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import blur
from .encoded import EQUALIZE, KINDS, KNOWN, STRETCH, Encoded, ForeignOperation, encode
from .operations import CONV_RADIUS, CutJigsaw, Normalize
from .run_order import runs
from .view import View

_SMALLEST_CHUNK = 256  # pixels; views without so large a common divisor have pools of their own
_NO_MEAN = 1e30  # instead of an image's area: its mean becomes 0
_HUE_OFFSETS = (5.0, 3.0, 1.0)  # of red, green and blue on the colour wheel, in sixths
_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


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


@dataclass(frozen=True)
class Ending:
    """How pixels become views: cut into patches and normalised, or not.

    views: name, images and side of each, in the order of their pixels.
    patches: number and side, 0 and 0 without.
    """

    first: int
    end: int
    views: tuple[tuple[str, int, int], ...]
    patches: tuple[int, int] = (0, 0)
    is_normalized: bool = True


@dataclass(frozen=True)
class Plan:
    """All of it; `floats` and `ints` are the lengths of the arrays that lie in those tensors one after another."""

    places: dict[str, tuple[int, int, int]]  # of each view: first pixel, images, side
    calls: tuple[Call, ...]
    endings: tuple[Ending, ...]
    floats: tuple[int, ...]
    ints: tuple[int, ...]

    @property
    def pixels(self) -> int:
        return max(first + images * px**2 for first, images, px in self.places.values())


@dataclass
class Numbers:
    """The arrays of a plan, in the order in which its kernels take them."""

    floats: list[_Floats] = field(default_factory=list)
    ints: list[_Ints] = field(default_factory=list)

    def add(self, *arrays: _Floats | _Ints) -> None:
        for array in arrays:
            if array.dtype == np.int64:
                self.ints.append(array.ravel().astype(np.int64, copy=False))
            else:
                self.floats.append(array.ravel().astype(np.float64, copy=False))


@dataclass(frozen=True)
class _Images:
    """Of every image of a pool: first pixel, side, first chunk and number of chunks."""

    first: _Ints
    px: _Ints
    chunk: int

    @property
    def chunks(self) -> _Ints:
        return self.px**2 // self.chunk


def make_plan(views: Sequence[View], uniforms: Sequence[Tensor]) -> tuple[Plan, Tensor, Tensor] | None:
    """The plan of a batch with its floats, float64, and integers, int64; None where a view's program has no place here.

    Args:
        uniforms: of each view (N, width), float64.
    """
    numbers = Numbers()
    places: dict[str, tuple[int, int, int]] = {}
    calls: list[Call] = []
    try:
        for pool in _pools(views):
            first = _end(places)
            for i in pool:
                places[views[i].name] = (_end(places), len(uniforms[i]), views[i].crop.px)
            calls += _pool_calls([(views[i], uniforms[i]) for i in pool], places, first, numbers)
        endings = tuple(_endings(views, uniforms, places, numbers))
    except ForeignOperation:
        return None
    floats, ints = (np.concatenate([*arrays, np.empty(0, kind)]) for arrays, kind in _kinds(numbers))
    lengths = [tuple(map(len, arrays)) for arrays, _ in _kinds(numbers)]
    plan = Plan(places, tuple(calls), endings, *lengths)
    return plan, torch.from_numpy(floats), torch.from_numpy(ints)


def _kinds(numbers: Numbers) -> tuple[tuple[list[_Floats], type], tuple[list[_Ints], type]]:
    return (numbers.floats, np.float64), (numbers.ints, np.int64)


def _pools(views: Sequence[View]) -> list[list[int]]:
    """Views that share chunks, by their positions; within a pool those of one side follow each other."""
    pools: list[tuple[int, list[int]]] = []
    for i in sorted(range(len(views)), key=lambda i: -views[i].crop.px):
        area = views[i].crop.px ** 2
        for place, (chunk, members) in enumerate(pools):
            common = math.gcd(chunk, area)
            if common >= min(_SMALLEST_CHUNK, area) or common == chunk == area:
                pools[place] = (common, [*members, i])
                break
        else:
            pools.append((area, [i]))
    return [members for _, members in pools]


def _end(places: dict[str, tuple[int, int, int]]) -> int:
    return max((first + images * px**2 for first, images, px in places.values()), default=0)


def body_and_ending(view: View) -> tuple[tuple[int, ...], CutJigsaw | None, Normalize | None]:
    """Which of a program's operations change images one by one; the cut and the normalisation after them, if any.

    Raises:
        ForeignOperation: another operation comes after those.
    """
    program = list(view.program)
    normalize, jigsaw = None, None
    if program and isinstance(program[-1], Normalize):
        normalize = program[-1]
        program.pop()
    if program and isinstance(program[-1], CutJigsaw):
        jigsaw = program[-1]
        program.pop()
    if any(isinstance(operation, Normalize | CutJigsaw) for operation in program):
        raise ForeignOperation("a view that goes on after it is cut or normalised")
    return tuple(range(len(program))), jigsaw, normalize


def _pool_calls(
    members: Sequence[tuple[View, Tensor]], places: dict[str, tuple[int, int, int]], first: int, numbers: Numbers
) -> Iterator[Call]:
    """The kernels of a pool that begins at a pixel."""
    chunk = math.gcd(*(view.crop.px**2 for view, _ in members))
    per_view = [(view.crop.px, len(uniforms)) for view, uniforms in members]
    px = np.repeat(*map(np.array, zip(*per_view)))
    starts = first + np.concatenate([[0], np.cumsum(px**2)[:-1]])
    images = _Images(starts, px, chunk)
    operations = _Operations.of(members)
    for kind, chosen in runs(operations.kinds, operations.images):
        pack = _PACKERS[KINDS[kind]]
        yield from pack(KINDS[kind], images, operations.taken(chosen), numbers)


@dataclass(frozen=True)
class _Operations:
    """Operations on the images of a pool: image, kind, numbers and, by the second number, a table."""

    images: _Ints
    kinds: _Ints
    numbers: _Floats
    tables: NDArray[np.uint8]

    @classmethod
    def of(cls, members: Sequence[tuple[View, Tensor]]) -> "_Operations":
        found: list[tuple[int, Encoded]] = []
        base = 0
        for view, uniforms in members:
            found += [(base, encoded) for encoded in _changes(view, uniforms)]
            base += len(uniforms)
        tables: list[NDArray[np.uint8]] = []
        for _, encoded in found:
            if len(encoded.tables):
                encoded.numbers[:, 1] = sum(map(len, tables)) + np.arange(len(encoded.tables))
                tables.append(encoded.tables)
        images = np.concatenate([np.empty(0, np.int64), *(base + encoded.rows for base, encoded in found)])
        kinds = np.concatenate([np.empty(0, np.int64), *(np.full(len(e.rows), e.kind) for _, e in found)])
        rows = np.concatenate([np.empty((0, 6)), *(encoded.numbers for _, encoded in found)])
        order = np.argsort(images, kind="stable")  # changes are found in the order in which they happen
        return cls(images[order], kinds[order], rows[order], np.concatenate([np.empty((0, 256), np.uint8), *tables]))

    def taken(self, chosen: _Ints) -> "_Operations":
        return _Operations(self.images[chosen], self.kinds[chosen], self.numbers[chosen], self.tables)


def _changes(view: View, uniforms: Tensor) -> Iterator[Encoded]:
    places, _, _ = body_and_ending(view)
    first = view.crop.width
    for place in places:
        operation = view.program[place]
        for change in operation.changes(uniforms[:, first : first + operation.width]):
            encoded = encode(change, len(uniforms), view.crop.px)
            if encoded is not None:
                yield encoded
        first += operation.width


# --- what each kind's kernel is given, in its order ---


def _chunk_rows(images: _Images, chosen: _Ints) -> tuple[_Ints, _Ints]:
    """The chunks of some images, counted from the pool's first, and whose of the chosen each is."""
    counts = images.chunks[chosen]
    each = np.repeat(np.arange(len(chosen)), counts)
    begins = (images.first[chosen] - images.first[0]) // images.chunk
    within = np.arange(len(each)) - np.repeat(np.cumsum(counts) - counts, counts)
    return begins[each] + within, each


def _pool_call(kernel: str, images: _Images, settings: tuple[int, ...] = ()) -> Call:
    return Call(kernel, int(images.first[0]), int(images.first[-1] + images.px[-1] ** 2), images.chunk, settings)


def _pack_gray(kernel: str, images: _Images, operations: _Operations, numbers: Numbers) -> Iterator[Call]:
    numbers.add(_chunk_rows(images, operations.images)[0])
    yield _pool_call(kernel, images)


def _pack_enhance(kernel: str, images: _Images, operations: _Operations, numbers: Numbers) -> Iterator[Call]:
    rows, each = _chunk_rows(images, operations.images)
    factor, of_gray = operations.numbers[each, :2].T
    areas = np.where(operations.numbers[:, 2] > 0, images.px[operations.images] ** 2, _NO_MEAN)
    numbers.add(rows, factor, of_gray, areas)
    is_whole = len(rows) == len(operations.images)
    if not is_whole:
        numbers.add(each)
    yield _pool_call(kernel, images, (int(operations.numbers[:, 2].any()), int(is_whole)))


def _pack_hue(kernel: str, images: _Images, operations: _Operations, numbers: Numbers) -> Iterator[Call]:
    rows, each = _chunk_rows(images, operations.images)
    numbers.add(rows, operations.numbers[each, 0], np.array(_HUE_OFFSETS))
    yield _pool_call(kernel, images)


def _pack_table(kernel: str, images: _Images, operations: _Operations, numbers: Numbers) -> Iterator[Call]:
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


def _add_places(images: _Images, chosen: _Ints, numbers: Numbers) -> _Ints:
    """For kernels that read other pixels of the image: the chunks, and of each the image's first pixel, side and how
    many of its pixels come before."""
    rows, each = _chunk_rows(images, chosen)
    begins = images.first[chosen][each] - images.first[0]
    numbers.add(rows, begins, images.px[chosen][each], rows * images.chunk - begins)
    return each


def _pack_nearest(kernel: str, images: _Images, operations: _Operations, numbers: Numbers) -> Iterator[Call]:
    each = _add_places(images, operations.images, numbers)
    steps = operations.numbers[each].astype(np.int64).reshape(-1, 2, 3)
    numbers.add(*steps.transpose(2, 1, 0))  # constant, per column, per row: each (across and down, chunks)
    yield _pool_call(kernel, images)


def _pack_sharpen(kernel: str, images: _Images, operations: _Operations, numbers: Numbers) -> Iterator[Call]:
    each = _add_places(images, operations.images, numbers)
    numbers.add(operations.numbers[each, 0])
    yield _pool_call(kernel, images)


def _by_side(images: _Images, operations: _Operations) -> Iterator[tuple[int, int, int, _Ints, _Floats]]:
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


def _pack_flip(kernel: str, images: _Images, operations: _Operations, numbers: Numbers) -> Iterator[Call]:
    for first, end, px, rows, _ in _by_side(images, operations):
        numbers.add(rows)
        yield Call(kernel, first, end, px)


def _pack_blur(kernel: str, images: _Images, operations: _Operations, numbers: Numbers) -> Iterator[Call]:
    for first, end, px, rows, amounts in _by_side(images, operations):
        sigma = torch.from_numpy(amounts[:, 0].copy())
        weights = blur.box_weights(sigma).long() if kernel == "boxes" else blur.tap_weights(sigma, CONV_RADIUS).double()
        numbers.add(rows, weights.numpy())
        yield Call(kernel, first, end, px, (len(rows),))


def _pack_slide(kernel: str, images: _Images, operations: _Operations, numbers: Numbers) -> Iterator[Call]:
    for first, end, px, rows, amounts in _by_side(images, operations):
        order = np.argsort(-amounts[:, 2], kind="stable")  # along rows first
        across = int((amounts[:, 2] == 3).sum())
        numbers.add(rows[order][:across], rows[order][across:], *amounts[order][:, [0, 1, 3]].T, np.array(_FILL), _FOUR)
        yield Call(kernel, first, end, px)


def _pack_turn(kernel: str, images: _Images, operations: _Operations, numbers: Numbers) -> Iterator[Call]:
    for first, end, px, rows, amounts in _by_side(images, operations):
        cos, sin, cubic = amounts[:, :3].T
        numbers.add(rows, np.stack([cos, sin]), np.stack([-sin, cos]), cubic, np.array(_FILL), _FOUR)
        yield Call(kernel, first, end, px)


_FOUR = np.arange(-1, 3)  # the pixels that an interpolation reads, from the one before a position
_FILL = (124.0, 116.0, 104.0)
_PACKERS = {
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


def _endings(
    views: Sequence[View], uniforms: Sequence[Tensor], places: dict[str, tuple[int, int, int]], numbers: Numbers
) -> Iterator[Ending]:
    """Views that follow each other and are normalised alike share one; a view that is cut has its own."""
    together: list[tuple[View, Normalize | None]] = []
    for view, numbers_of_view in sorted(zip(views, uniforms), key=lambda pair: places[pair[0].name][0]):
        _, jigsaw, normalize = body_and_ending(view)
        if together and (jigsaw is not None or normalize != together[0][1]):
            yield _shared_ending(together, places, numbers)
            together = []
        if jigsaw is None:
            together.append((view, normalize))
        else:
            yield _cut_ending(view, jigsaw, normalize, numbers_of_view, places, numbers)
    if together:
        yield _shared_ending(together, places, numbers)


def _shared_ending(
    views: Sequence[tuple[View, Normalize | None]], places: dict[str, tuple[int, int, int]], numbers: Numbers
) -> Ending:
    normalize = views[0][1]
    found = [(view.name, *places[view.name][1:]) for view, _ in views]
    first, end = places[views[0][0].name][0], places[views[-1][0].name][0]
    if normalize is not None:
        numbers.add(np.array(normalize.mean), np.array(normalize.std))
    return Ending(first, end + found[-1][1] * found[-1][2] ** 2, tuple(found), is_normalized=normalize is not None)


def _cut_ending(
    view: View,
    jigsaw: CutJigsaw,
    normalize: Normalize | None,
    uniforms: Tensor,
    places: dict[str, tuple[int, int, int]],
    numbers: Numbers,
) -> Ending:
    first, images, px = places[view.name]
    begin = view.width - jigsaw.width - (0 if normalize is None else normalize.width)
    top, left = jigsaw.corners(*jigsaw.offsets(uniforms[:, begin : begin + jigsaw.width], px), px)
    starts = torch.arange(images)[:, None] * px**2 + top * px + left
    numbers.add(starts.numpy())
    if normalize is not None:
        numbers.add(np.array(normalize.mean), np.array(normalize.std))
    patches = (jigsaw.grid**2, jigsaw.patch_px)
    return Ending(first, first + images * px**2, ((view.name, images, px),), patches, normalize is not None)
