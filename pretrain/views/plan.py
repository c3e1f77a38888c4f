"""What is done to all views of a step, worked out on the CPU: which kernels, on which images, with which numbers.

The images of all views lie in one tensor of pixels, (P, 3). Views whose sides have a common divisor form a pool, in
which an image is a row of equal chunks; so an operation on colours changes images of several sizes at once. Kernels
find their numbers one after another in a tensor of floats and one of integers, which travel with the pixels.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .encoded import KINDS, Encoded, ForeignOperation, encode
from .operations import CutJigsaw, Normalize
from .packing import PACKERS, Call, Floats, Ints, Numbers, Operations, PoolImages
from .run_order import runs
from .view import Operation, View

_SMALLEST_CHUNK = 256  # pixels; views without so large a common divisor have pools of their own


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


def _kinds(numbers: Numbers) -> tuple[tuple[list[Floats], type], tuple[list[Ints], type]]:
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


def _body_and_ending(view: View) -> tuple[list[Operation], CutJigsaw | None, Normalize | None]:
    """The operations of a program that change images one by one; the cut and the normalisation after them, if any.

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
    return program, jigsaw, normalize


def _pool_calls(
    members: Sequence[tuple[View, Tensor]], places: dict[str, tuple[int, int, int]], first: int, numbers: Numbers
) -> Iterator[Call]:
    """The kernels of a pool that begins at a pixel."""
    chunk = math.gcd(*(view.crop.px**2 for view, _ in members))
    per_view = [(view.crop.px, len(uniforms)) for view, uniforms in members]
    px = np.repeat(*map(np.array, zip(*per_view)))
    starts = first + np.concatenate([[0], np.cumsum(px**2)[:-1]])
    images = PoolImages(starts, px, chunk)
    operations = _operations(members)
    for kind, chosen in runs(operations.kinds, operations.images):
        pack = PACKERS[KINDS[kind]]
        yield from pack(KINDS[kind], images, operations.taken(chosen), numbers)


def _operations(members: Sequence[tuple[View, Tensor]]) -> Operations:
    """What the views of a pool do to their images, image after image."""
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
    return Operations(images[order], kinds[order], rows[order], np.concatenate([np.empty((0, 256), np.uint8), *tables]))


def _changes(view: View, uniforms: Tensor) -> Iterator[Encoded]:
    body, _, _ = _body_and_ending(view)
    first = view.crop.width
    for operation in body:
        for change in operation.changes(uniforms[:, first : first + operation.width]):
            encoded = encode(change, len(uniforms), view.crop.px)
            if encoded is not None:
                yield encoded
        first += operation.width


def _endings(
    views: Sequence[View], uniforms: Sequence[Tensor], places: dict[str, tuple[int, int, int]], numbers: Numbers
) -> Iterator[Ending]:
    """Views that follow each other and are normalised alike share one; a view that is cut has its own."""
    together: list[tuple[View, Normalize | None]] = []
    for view, numbers_of_view in sorted(zip(views, uniforms), key=lambda pair: places[pair[0].name][0]):
        _, jigsaw, normalize = _body_and_ending(view)
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
