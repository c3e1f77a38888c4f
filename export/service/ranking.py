"""Rankings as a person wants them: of several indexes together, near-duplicates folded, a part at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..index.item import Match
from .collection import Collection


@dataclass(frozen=True)
class Found:
    """A photo of a ranking."""

    collection: str
    match: Match


@dataclass(frozen=True)
class Group:
    """A result, and the photos below it in the ranking that are nearly the same."""

    first: Found
    copies: tuple[Found, ...] = ()


@dataclass(frozen=True)
class Part:
    """Some results in order; `is_last` where the ranking, or what may be looked at of it, ends with them."""

    groups: list[Group]
    is_last: bool


Find = Callable[[int], list[Found]]  # how many -> the nearest of them, nearest first
Vectors = Callable[[Sequence[Found]], np.ndarray]


def part_of(find: Find, vectors: Vectors, *, offset: int, k: int, fold: float | None, deepest: int) -> Part:
    """The results from `offset` on, k of them.

    Args:
        fold: cosine from which two results are nearly the same; None folds nothing.
        deepest: photos of the ranking that are looked at in all.
    """
    depth = min(deepest, offset + k + 1 if fold is None else 2 * (offset + k + 1))
    while True:
        found = find(depth)
        groups = [Group(one) for one in found] if fold is None else folded(found, vectors(found), fold)
        if len(groups) > offset + k or len(found) < depth or depth == deepest:
            return Part(groups[offset : offset + k], is_last=len(groups) <= offset + k)
        depth = min(deepest, 2 * depth)


def folded(found: Sequence[Found], vectors: np.ndarray, threshold: float) -> list[Group]:
    """Each photo with those after it whose cosine with it is at least `threshold`, in the order of the ranking.

    A longer ranking gives the same groups first, so that parts fit together.
    """
    firsts: list[int] = []
    copies: dict[int, list[Found]] = {}
    for row, vector in enumerate(vectors):
        cosines = vectors[firsts] @ vector if firsts else np.empty(0)
        like = int(cosines.argmax()) if len(cosines) else -1
        if like >= 0 and cosines[like] >= threshold:
            copies[firsts[like]].append(found[row])
        else:
            firsts.append(row)
            copies[row] = []
    return [Group(found[row], tuple(copies[row])) for row in firsts]


def merged(rankings: Sequence[list[Found]]) -> list[Found]:
    """Several rankings of one query as one; stable where similarities are equal."""
    return sorted((one for ranking in rankings for one in ranking), key=lambda one: -one.match.similarity)


def vectors_in(collections: dict[str, Collection]) -> Vectors:
    """A function that gives the vectors of found photos, (N, F), whatever collections they are of."""

    def vectors(found: Sequence[Found]) -> np.ndarray:
        rows: dict[tuple[str, int], np.ndarray] = {}
        for name, collection in collections.items():
            numbers = [one.match.item.id for one in found if one.collection == name]
            rows |= {(name, number): row for number, row in zip(numbers, collection.vectors_of(numbers))}
        return np.stack([rows[one.collection, one.match.item.id] for one in found]) if found else np.empty((0, 1))

    return vectors
