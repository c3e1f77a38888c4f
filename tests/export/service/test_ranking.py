"""Folding, parts of rankings and merging, on vectors made by hand; the projection of a map; batches."""

import threading
from pathlib import Path

import numpy as np
import pytest

from goodviews.export.index.item import Item, Match
from goodviews.export.service.batches import Batches
from goodviews.export.service.projection import project
from goodviews.export.service.ranking import Found, folded, merged, part_of
from goodviews.export.service.service import names_of
from goodviews.hub.errors import UsageError


def found(*similarities: float, name: str = "a") -> list[Found]:
    items = [Item(number, f"{number}.jpg", Path("/photos")) for number in range(len(similarities))]
    return [Found(name, Match(item, similarity)) for item, similarity in zip(items, similarities)]


def at_angles(*degrees: float) -> np.ndarray:
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def ids(groups: list) -> list[list[int]]:
    return [[one.match.item.id for one in (group.first, *group.copies)] for group in groups]


def test_a_photo_is_folded_into_the_first_that_it_is_like():
    groups = folded(found(0.9, 0.8, 0.7, 0.6), at_angles(0, 40, 2, 41), threshold=0.99)
    assert ids(groups) == [[0, 2], [1, 3]]


def test_a_chain_of_likenesses_is_not_one_group():
    groups = folded(found(0.9, 0.8, 0.7), at_angles(0, 7, 14), threshold=0.99)  # cos 7 degrees is 0.9925, cos 14 0.970
    assert ids(groups) == [[0, 1], [2]]


@pytest.mark.parametrize("k", [1, 2, 3, 10])
def test_parts_of_any_size_add_up_to_the_whole(k: int):
    ranking, vectors = found(*np.linspace(1, 0.5, 30)), at_angles(*(5 * (number % 7) for number in range(30)))

    def rows(some: list[Found]) -> np.ndarray:
        return vectors[[one.match.item.id for one in some]]

    seen, offset = [], 0
    while True:
        part = part_of(lambda depth: ranking[:depth], rows, offset=offset, k=k, fold=0.999, deepest=100)
        seen += [group.first.match.item.id for group in part.groups]
        if part.is_last:
            break
        offset += k
    assert seen == list(range(7))


def test_a_ranking_ends_where_it_may_not_be_looked_at():
    ranking = found(*np.linspace(1, 0.5, 50))
    part = part_of(lambda depth: ranking[:depth], lambda some: np.eye(50), offset=8, k=5, fold=None, deepest=10)
    assert ids(part.groups) == [[8], [9]]
    assert part.is_last


def test_rankings_merge_by_similarity():
    both = merged([found(0.9, 0.5, name="a"), found(0.8, 0.7, name="b")])
    assert [(one.collection, one.match.similarity) for one in both] == [("a", 0.9), ("b", 0.8), ("b", 0.7), ("a", 0.5)]


def test_a_map_shows_the_two_directions_that_differ_most():
    draw = np.random.default_rng(0)
    plane = draw.uniform(-1, 1, (400, 2)) * [10, 4]
    turn = np.linalg.qr(draw.standard_normal((50, 50)))[0][:2]
    seen = project((plane @ turn + 0.01 * draw.standard_normal((400, 50))).astype(np.float32))
    assert seen.variance > 0.999
    for axis in (0, 1):
        assert abs(np.corrcoef(seen.points[:, axis], plane[:, axis])[0, 1]) > 0.99
    assert seen.points.min() == 0
    assert seen.points.max() == 1


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_map_of_hardly_any_photos_is_drawn(count: int):
    points = project(np.eye(8, dtype=np.float32)[:count]).points
    assert points.shape == (count, 2)
    assert np.isfinite(points).all()


def test_what_waits_for_the_network_becomes_one_batch_in_order():
    release, sizes = threading.Event(), []
    batches = Batches(lambda photos: np.stack(photos) * 2, largest=4, observe=sizes.append)
    batches.call(lambda: np.array(release.wait(20)))
    waiting = [batches.embed(np.array([number])) for number in range(6)]
    release.set()
    assert [int(future.result(20)[0]) for future in waiting] == [0, 2, 4, 6, 8, 10]
    assert sum(sizes) == 6
    assert max(sizes) <= 4
    batches.close()


def test_a_failure_of_the_network_reaches_those_who_wait_and_no_others():
    def run(photos: list[np.ndarray]) -> np.ndarray:
        if any(photo[0] < 0 for photo in photos):
            raise ValueError("negative")
        return np.stack(photos)

    batches = Batches(run, largest=1)
    bad, good = batches.embed(np.array([-1])), batches.embed(np.array([1]))
    with pytest.raises(ValueError, match="negative"):
        bad.result(20)
    assert good.result(20)[0] == 1
    batches.close()


def test_indexes_of_one_name_get_numbers_and_none_is_named_twice(tmp_path: Path):
    folders = [tmp_path / "a" / "index", tmp_path / "b" / "index"]
    assert names_of(folders) == {"index": folders[0], "index-2": folders[1]}
    with pytest.raises(UsageError, match="twice"):
        names_of([folders[0], folders[0]])
